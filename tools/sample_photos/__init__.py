"""The model that ships: scenes rendered, a small network trained on them, and the command that measures it."""
