"""Bytes in, classification out. This room knows nothing of Azure, of settings or of where images live."""
