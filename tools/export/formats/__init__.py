"""One module for each format: rows in, files out. None of them knows storage or the command line."""
