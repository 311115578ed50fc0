"""One agent from start to end."""
