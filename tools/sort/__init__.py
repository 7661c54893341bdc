"""``python -m tools sort``: copies images into folders by label, within the account."""
