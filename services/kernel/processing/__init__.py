"""From an event or a command to what follows from it: batches, commands, what is due, the relay."""
