"""Deadlines: calendar, rules as data, and what follows from the passing of time. Pure."""
