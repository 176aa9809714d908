"""Darknet's .cfg and .weights files, read and written without Keras."""
