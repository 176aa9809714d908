"""Masked CRC-32C, which TFRecord files store after each length and each record."""

from __future__ import annotations

import google_crc32c

MASK = 0xA282EAD8


def masked_crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of some bytes, rotated by 15 bits and offset by a constant, as TFRecord stores it."""
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF
