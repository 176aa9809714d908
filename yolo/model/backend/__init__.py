"""Where a training step differs between TensorFlow and JAX: non-finite steps, replicas, precision."""
