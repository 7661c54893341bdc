"""States how far to trust the labels, from reviews of a random sample."""
