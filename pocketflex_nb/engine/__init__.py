"""Runs flows: records, control, runs, the walk, and launching on the engine thread.

The rule of this room: it may wait, and it imports only what stands below it; it uses no screen and no disk.
"""
