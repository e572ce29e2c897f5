"""Sweeps: many questions asked as one, for the map of trade-offs."""
