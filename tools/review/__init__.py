"""The command ``review``: pages that people correct labels on, and the import of their corrections."""
