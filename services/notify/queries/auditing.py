"""The audit of notify: compares the cases by which alerts find their recipients with the real ones."""

KNOWN_CASES = """
    SELECT case_id AS key, jsonb_build_array(child_id, status, lead_professional_id, locality)::text AS facts
    FROM cases
"""
"""Every case: the child, open or closed, who leads it while it is open, and where."""
