"""The tests, one folder a room. `python -m tests` runs them all, in stages; see `tests/__main__.py`."""
