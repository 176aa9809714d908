"""Keras callbacks of a run: progress, validation, checkpoints, TensorBoard."""
