"""Detection in the user's images: `sources` finds the files, `predictor` runs the detector, `outputs` writes."""
