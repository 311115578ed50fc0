"""The form that starts flows."""
