"""A child's chronology: every event that was heard, kept in its transaction, and read for pages."""
