"""Who restarts whom."""
