"""A run as its owner holds it."""
