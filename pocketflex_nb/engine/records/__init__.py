"""What a run leaves behind while it moves."""
