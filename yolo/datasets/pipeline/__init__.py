"""Input pipeline from a Dataset to batches: sampling order, reading, caching and tf.data."""
