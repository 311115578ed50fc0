"""A value, and what changed in it."""
