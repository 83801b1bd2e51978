"""The arrangements that people make for themselves: preferences, quiet hours, absences."""
