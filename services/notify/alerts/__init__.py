"""Alerts: who is alerted about what, and an alert's life until it is settled. Pure."""
