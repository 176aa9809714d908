"""Detection over the user's pictures: `sources` finds them, `predictor` runs, `sinks` writes."""
