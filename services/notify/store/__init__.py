"""SQL of what one batch touches: alerts, deliveries, and the people around a child."""
