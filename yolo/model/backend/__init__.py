"""Training-step details that differ between TensorFlow and JAX: non-finite steps, replicas, precision."""
