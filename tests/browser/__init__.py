"""The pages in a real browser on the whole system: `make test-browser`."""
