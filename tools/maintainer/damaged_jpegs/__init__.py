"""Measures how many damaged JPEGs are refused, and that no intact JPEG is."""
