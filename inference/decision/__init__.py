"""The user's rules that make a label out of the scores of all labels: ``decision.json``. Standard library only."""
