"""Text made safe to show."""
