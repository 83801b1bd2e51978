"""Placement: from the request to the exit interview, and the history of looked-after children."""
