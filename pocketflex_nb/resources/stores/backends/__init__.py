"""One file per place that keeps a store."""
