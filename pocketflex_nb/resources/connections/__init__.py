"""Reaching a server or a file."""
