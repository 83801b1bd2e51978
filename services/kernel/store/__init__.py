"""Every SQL statement of the kernel, one module per table. All take a connection; none commits."""
