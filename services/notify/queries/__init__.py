"""SQL that only reads, behind lists, boards and live pages."""
