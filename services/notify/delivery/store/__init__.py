"""SQL of deliveries: the queue, the senders' claims, and the subscriptions."""
