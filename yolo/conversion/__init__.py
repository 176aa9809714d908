"""A detector's network in the file formats of other programs, with its description inside."""
