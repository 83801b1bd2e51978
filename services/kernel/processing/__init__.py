"""Handling events and commands, and publishing the results: batches, commands, due deadlines, the relay."""
