"""The append-only log on disk: what runs have done, so that they go on after a crash. Imports core only, and the standard library."""
