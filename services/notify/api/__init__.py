"""The HTTP API beside alerts: preferences, receipts, and what referring agencies poll."""
