"""Chat templates: programs of a model's author, run where they can do no harm."""
