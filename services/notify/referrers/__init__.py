"""What a referring agency is told of its own referrals, and the keys by which it asks."""
