"""Immutable copies of values that share what did not change."""
