"""Runs the app under Microsoft's own trigger extensions: ``webjobs-host`` in front, the real Python worker behind."""
