"""Messages on the bus and their faults: records, envelopes, arrivals, faults, ids. Pure."""
