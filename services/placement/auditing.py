"""What an audit compares: the cases that placement knows, with those that there are."""

KNOWN_CASES = """
    SELECT case_id AS key, jsonb_build_array(child_id, level, status)::text AS facts FROM known_cases
"""
"""Every case: the child, its level if it has one, open or closed."""
