"""A training run as data: its options, state, checkpoints and folder."""
