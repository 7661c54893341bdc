"""One module per image format: how its files are checked, opened, measured and decoded."""
