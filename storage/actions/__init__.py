"""Acts on a committed result where the settings ask for it: index tags on the image, a message on a queue."""
