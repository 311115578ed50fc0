"""What every widget needs."""
