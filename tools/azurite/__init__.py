"""Installs and runs Azurite, Microsoft's storage emulator."""
