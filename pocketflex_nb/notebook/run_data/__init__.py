"""What runs look like, as plain data; no widget."""
