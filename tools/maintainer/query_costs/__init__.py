"""Fills the tables of an emulator and counts what each kind of query costs there."""
