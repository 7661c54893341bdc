"""Weeks whose labels or scores differ from those of the weeks before, by camera."""
