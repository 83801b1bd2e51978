"""The placement service's own tables."""
