"""Sentences for a model folder that cannot be used; imported when a folder is refused, not at every start."""
