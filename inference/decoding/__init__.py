"""Turns encoded bytes into an upright RGB or grey image, within limits of pixels and memory."""
