"""The command ``doctor``: checks settings, storage, model and machine, and reports each finding in a sentence."""
