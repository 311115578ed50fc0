"""What a cell says, read into flows and options, and started."""
