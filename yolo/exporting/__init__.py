"""Export of a detector: converted, compared with Keras on pictures, and written with a script that runs it."""
