"""Datasets: readers and writers of the usual formats, augmentation and the `tf.data` pipeline."""
