"""Work handed to exactly one consumer, at least once."""
