"""The referral service's own tables."""
