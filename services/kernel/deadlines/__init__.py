"""Deadlines: calendar, rules as data, and the changes that time brings. Pure."""
