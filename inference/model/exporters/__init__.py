"""One reader per exporter: each adds the values that the exporter's files state, and nothing else."""
