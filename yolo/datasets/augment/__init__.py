"""Random changes to an image and its boxes together."""
