"""Alerts: who is told of what, and what becomes of an alert until it is settled. Pure."""
