"""Commands of an operator that run through the disturbed storage while and after images arrive."""
