"""The parts of ``python -m tools backfill``: what is to do, the line of threads that does it, and what is shown."""
