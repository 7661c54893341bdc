"""What people found in the images: a table of reviews, bound to the content that each reviewer looked at."""
