"""Exports tiny random models with the real libraries, and records what their own preprocessing and runtime give."""
