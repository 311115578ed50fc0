"""Conversations: what a run's messages and calls of tools were, read from its events, as data, Markdown and HTML."""
