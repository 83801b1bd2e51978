"""The `leadline` command: run the system, inspect it, repair it."""
