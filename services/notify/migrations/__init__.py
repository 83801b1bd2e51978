"""The notify service's own tables."""
