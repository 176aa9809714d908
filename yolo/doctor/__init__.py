"""Checks of a dataset: everything that looks wrong with it, with a remedy each, and a corrected copy."""
