"""A flow as data: nodes, arrows, their ids, and the checks before a run."""
