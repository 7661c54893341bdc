"""The labels of a model: which files are searched, and how each form becomes a list from class index to label."""
