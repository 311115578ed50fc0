"""One small function a subcommand."""
