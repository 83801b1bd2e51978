"""Policy packs: the settings that differ between councils, read and checked."""
