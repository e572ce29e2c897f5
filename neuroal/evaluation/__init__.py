"""What pruning did to a model: measured at the end of a run, or whenever someone asks."""
