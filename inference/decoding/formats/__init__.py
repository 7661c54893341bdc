"""Is the file whole, and is it made of a sane number of parts? One module per container."""
