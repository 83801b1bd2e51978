"""SQL of what referring agencies are told, and of their keys."""
