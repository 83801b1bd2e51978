"""How a store that was restored or lost catches up with the other services."""
