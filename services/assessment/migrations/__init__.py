"""Migrations of the assessment service's own tables."""
