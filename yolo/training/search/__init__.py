"""Hyperparameter search: the space of options, trials, and the study that runs them."""
