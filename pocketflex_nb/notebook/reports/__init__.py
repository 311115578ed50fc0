"""Runs without a widget."""
