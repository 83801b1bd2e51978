"""How a store that was restored, or lost, finds its way back among the others."""
