"""A log folded into a state, and what a state says to a person: shared by the page and the command line."""
