"""The basics of every process: settings, clock, logs, metrics, and how its parts may end."""
