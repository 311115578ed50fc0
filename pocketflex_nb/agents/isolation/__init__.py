"""An agent in a process of its own."""
