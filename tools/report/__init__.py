"""The command ``report``: results as one HTML page with charts and thumbnails."""
