"""Classifies existing images, on this machine or by the app: ``python -m tools backfill``."""
