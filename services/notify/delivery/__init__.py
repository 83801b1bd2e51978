"""Deliveries: an alert on its way to somebody by one channel; senders, receipts, subscriptions."""
