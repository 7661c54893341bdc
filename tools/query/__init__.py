"""The parts of ``python -m tools query``: what is asked, how it is shown, and the images themselves."""
