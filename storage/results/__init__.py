"""One result per image: its record, how it is stored, and the protocol that commits it."""
