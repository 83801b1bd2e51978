"""Migrations of the kernel's own tables, and the Alembic environment that every service shares."""
