"""Messages for every subscriber."""
