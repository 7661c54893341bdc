"""Azurite, the storage emulator: installation and start."""
