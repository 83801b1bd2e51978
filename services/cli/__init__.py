"""The `leadline` command: run the system, look into it, repair it."""
