"""Programs that only maintainers run."""
