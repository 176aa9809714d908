"""Report: one page about a model, and one that puts runs side by side."""
