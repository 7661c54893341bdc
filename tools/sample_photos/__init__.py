"""Rendered photos of ten kinds of objects: samples for the demo, and training and test data for the demo model."""
