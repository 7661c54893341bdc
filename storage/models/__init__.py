"""Model folders on disk and in blob storage, and replacing one while the app runs."""
