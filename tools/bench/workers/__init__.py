"""The code that is measured. Each module runs in a worker process of its own, which ``process`` starts and serves."""
