"""A running system's own checker: does each store agree with itself, and with the others?"""
