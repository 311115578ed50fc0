"""Threads, loops, and waiting that the stop button can interrupt. Knows no flow and no agent."""
