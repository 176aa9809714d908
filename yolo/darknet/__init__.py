"""Darknet's files, read and written without Keras: network descriptions (.cfg) and weights (.weights)."""
