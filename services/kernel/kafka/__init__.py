"""The bus: clients that publish, consume and query, and the handling of unreadable records."""
