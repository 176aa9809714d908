"""Annotations as every format has them: columns, records, repairs, images and their sizes; and what a format is."""
