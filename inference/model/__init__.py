"""A model folder: its graph, labels and preprocessing, each value with the file it came from."""
