"""SQL of what one batch touches: placements, and looked-after children's history."""
