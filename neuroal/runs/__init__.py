"""A run: what is asked (spec), what happened (events), who does it (job), where it is kept (store)."""
