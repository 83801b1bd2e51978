"""The bus: clients that publish, consume and ask, and reading what the library cannot read."""
