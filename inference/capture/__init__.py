"""The capture facts of a photo: when it was taken, by which camera, at which temperature and where."""
