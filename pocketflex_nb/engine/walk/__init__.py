"""From node to node."""
