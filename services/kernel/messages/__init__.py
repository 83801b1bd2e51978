"""What is said on the bus, and what is wrong with it: records, envelopes, arrivals, faults, ids. Pure."""
