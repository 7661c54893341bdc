"""``python -m tools export``: results as files that other programs open."""
