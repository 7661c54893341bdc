"""The parts of ``python -m tools doctor``: each looks at one thing and says what it found in a sentence."""
