"""Encoded bytes in, an upright RGB or grey picture out, within stated limits of pixels and memory."""
