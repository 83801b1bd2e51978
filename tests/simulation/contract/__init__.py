"""One suite for the fakes and for the engines they stand for: what the kernel relies on holds in both."""
