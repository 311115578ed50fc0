"""A Store whose truth is elsewhere."""
