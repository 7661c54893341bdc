"""Questions about results, answered from a point or a key range of the tables."""
