"""Suffixes of image files: those that can be decoded, and those that are images all the same."""

from __future__ import annotations

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".avif"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".jp2"}
)
"""Suffixes of images that are read, in lower case."""
WRITTEN = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff"})
"""Suffixes of images that detection keeps for what it draws."""
UNDECODABLE = frozenset(
    {".heic", ".heif", ".hif", ".jxl", ".psd", ".svg", ".ico", ".dib", ".tga", ".exr", ".hdr", ".dcm", ".pcx", ".j2k"}
    | {".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2", ".raw"}
)
"""Suffixes of images that are left out, counted and named."""
