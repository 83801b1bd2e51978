"""What all HTTP APIs and pages have in common, and the process that serves them."""
