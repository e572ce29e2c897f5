"""What pruning did to a model."""
