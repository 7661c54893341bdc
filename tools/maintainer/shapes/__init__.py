"""Trains and evaluates the demo model."""
