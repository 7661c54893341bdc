"""What ``python -m tools package`` is made of, and what CI and a release ask beside it."""
