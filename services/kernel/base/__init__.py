"""What every process needs first: settings, clock, logs, metrics, and how its parts may end."""
