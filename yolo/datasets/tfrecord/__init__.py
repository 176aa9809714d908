"""Datasets packed into TFRecord shards: read, indexed, scanned and written."""
