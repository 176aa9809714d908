"""Damage for the property tests of files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
"""Anything that JSON can hold."""


def damaged(data, content: bytes) -> bytes:
    """Bytes that are cut short, or of which one has changed; ``data`` draws where."""
    if data.draw(st.booleans(), label="cut"):
        return content[: data.draw(st.integers(0, len(content) - 1))]
    place, change = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(1, 255))
    return content[:place] + bytes([content[place] ^ change]) + content[place + 1 :]


def with_another_value(data, content: Any) -> Any:
    """A copy of a JSON value in which one value anywhere is any other; ``data`` draws which."""
    copy = json.loads(json.dumps(content))
    owner, key = data.draw(st.sampled_from(list(places(copy))), label="place")
    owner[key] = data.draw(VALUES, label="value")
    return copy


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value: the list or object that holds it, and the index or key."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield value, key
        yield from places(inner)
