"""Deterministic simulation: the kernel's own code against an in-memory store and broker, under a seed.

Entry point, also for whoever plants a bug to see whether it is found:

    from tests.simulation.play import Outcome, play

    outcome = play(17)                  # one seed, from nothing to the recount
    outcome = play(17, bug=planted)     # the same with a patch around it
    outcome.findings                    # list[str]: empty when the recount agrees

`bug` is called without arguments and returns a context manager that is held while the seed plays; it patches
attributes of `services.kernel` modules or classes and restores them when left. The kernel runs unchanged:
`BatchProcessor`, `BatchConsumer`, `Relay`, `BusWatch`, `DeadlineScanner`, `Publication`, `Replay`,
`Engine`, `Relaying` and the store modules' Python. What is substituted is the driver below them (asyncpg's
connection and pool), aiokafka's consumer, and the `Broker`, `Publisher` and `Bus` that a relay and a bus
watch are given.

What a bug may use is what the kernel uses: statements by the objects of the store modules (the fake knows
each by its text; a statement of new text is an error and reported as a finding), `Engine.begin`,
`Engine.connect`, `Connection.execute`, and the methods of `Relaying`, which run unchanged.

The same seed plays the same way in every process: virtual time, one thread, no wall clock, no order of sets.
"""
