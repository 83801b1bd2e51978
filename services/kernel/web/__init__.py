"""The web: the common parts of all HTTP APIs and pages, and the process that serves them."""
