"""SQL of deliveries: the queue, what senders have claimed, and who has subscribed."""
