"""Policy packs: what differs between councils, read and checked."""
