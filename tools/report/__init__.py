"""What ``python -m tools report`` puts on its page: sums, a sample, thumbnails, and the page itself."""
