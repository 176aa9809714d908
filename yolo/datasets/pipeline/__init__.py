"""From a Dataset to batches: the order of images, reading and caching them, tf.data."""
