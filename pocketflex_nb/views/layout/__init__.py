"""Where boxes and arrows go."""
