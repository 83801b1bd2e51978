"""A simulated county that plays partners and practitioners from outside: over HTTP and Kafka only."""
