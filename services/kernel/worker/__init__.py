"""A service's worker: one process that consumes, decides, publishes and raises due deadlines."""
