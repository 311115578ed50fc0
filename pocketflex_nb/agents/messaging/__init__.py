"""How a message gets from a sender to an agent; all that an outsider holds."""
