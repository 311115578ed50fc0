"""One file per system; importing one registers what it can do."""
