"""Referral: receives referrals from agencies; each is decided within one working day."""
