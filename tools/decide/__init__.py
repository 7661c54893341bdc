"""``python -m tools decide``: decides labels again, from the scores that the sidecars keep."""
