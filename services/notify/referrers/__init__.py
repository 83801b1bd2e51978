"""Updates to a referring agency about its own referrals, and the keys with which it asks for them."""
