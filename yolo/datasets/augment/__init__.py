"""Random augmentation of an image together with its boxes."""
