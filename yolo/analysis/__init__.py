"""Analysis of what a detector gets right and wrong: curves, thresholds, calibration, confusion, errors by kind."""
