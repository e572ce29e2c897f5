"""Runs on a Ray cluster: the same generators of events, drained by workers of other processes and machines."""
