"""Two models side by side: where their labels agree, where they differ, and who is right by the reviews."""
