"""Plumbing without a business word: bus, store, clock, deadlines, dead letters. Services build on it."""
