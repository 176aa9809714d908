"""Training: the runs of `train` and `resume`, and hyperparameter search."""
