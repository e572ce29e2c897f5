"""Runs and sweeps that travel: bundles hold all there is to say of one, and open in any instance of the app."""
