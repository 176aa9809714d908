"""Damage for the property tests of files."""

from __future__ import annotations

from hypothesis import strategies as st


def damaged(data, content: bytes) -> bytes:
    """Bytes that are cut short, or of which one has changed; ``data`` draws where."""
    if data.draw(st.booleans(), label="cut"):
        return content[: data.draw(st.integers(0, len(content) - 1))]
    place, change = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(1, 255))
    return content[:place] + bytes([content[place] ^ change]) + content[place + 1 :]
