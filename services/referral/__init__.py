"""Referral: takes what agencies tell us and decides within one working day what follows."""
