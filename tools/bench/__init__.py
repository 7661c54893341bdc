"""What ``python -m tools bench`` measures, and how."""
