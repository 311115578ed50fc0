"""Where agents run, and what is logged there."""
