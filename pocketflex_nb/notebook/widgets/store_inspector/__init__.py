"""The store inside the cell."""
