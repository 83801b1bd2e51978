"""`make bench`: how fast the system is on this machine, beside what its users could write themselves."""
