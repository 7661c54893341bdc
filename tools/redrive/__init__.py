"""The command ``redrive``: queues images again, or the messages of a queue that need a person."""
