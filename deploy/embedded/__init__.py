"""Embedded mode: real engines and the service processes, run from one checkout without containers."""
