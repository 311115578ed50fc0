"""Test doubles for users (a package now; the same names)."""
