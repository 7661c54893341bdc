"""From one blob or queue message to a committed result, and what happens when an attempt fails."""
