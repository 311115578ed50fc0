"""What may hold a run back, or end it."""
