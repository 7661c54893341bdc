"""What a person runs: ``python -m tools <command>``. Composes ``inference`` and ``storage``; never deployed."""
