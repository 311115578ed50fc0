"""One file per place that keeps a queue."""
