"""What people arrange for themselves: preferences, quiet hours, absences."""
