"""Measures the app on this machine against baselines and against a lower bound: ``python -m tools bench``."""
