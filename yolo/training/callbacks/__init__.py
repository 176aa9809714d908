"""What happens at steps and epochs of a run: progress, validation, checkpoints, TensorBoard."""
