"""Writers of annotation formats, one module each."""
