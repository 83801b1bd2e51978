"""What users of other libraries would write: the same work, decided by the same rules, on the same tables.

Each peer is a program, `python -m tests.bench.peers.<name>`, that runs until SIGTERM. They differ from us
in how they read, load, save and acknowledge; the relay is ours in all of them, in the same process.
"""
