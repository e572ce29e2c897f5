"""Inside one matrix of a finished run: its mask, its rows, and what its inputs lost."""
