"""Readers of what exporters leave in a model folder. Each states the facts it finds and nothing else."""
