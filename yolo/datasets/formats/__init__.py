"""Annotation formats: one module each, from files to the columns of a Dataset and back."""
