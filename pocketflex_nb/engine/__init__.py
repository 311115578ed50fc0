"""Runs flows: records, control, runs, the walk, and launching on the engine thread.

The rule of this room: it may wait, and it imports core only; nest-asyncio stands in one file. It knows no screen and no disk.
"""
