"""``python -m tools query``: the filters, the ways to print results, and the download of images."""
