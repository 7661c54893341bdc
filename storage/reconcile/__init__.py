"""Compares images, rows, sidecars and index rows, and repairs what disagrees."""
