"""What a cell does."""
