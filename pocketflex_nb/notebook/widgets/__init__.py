"""TODO notebook/widgets."""
