"""The operations of a network that stay in float in an int8 file: its first convolution, its heads, the decoding."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def float_part(inputs: Mapping[str, Collection[str]], convolutions: Collection[str]) -> list[str]:
    """Choose the operations that stay in float.

    They are the first convolutions with all that comes before them, and the last ones with all that comes after. The
    first sees pixels in three channels, where there is little to gain; a head's numbers range from offsets within a
    cell to logits of objectness below -10, which one scale of 256 steps cannot hold. In between, int8 loses next to
    nothing.

    Args:
        inputs: names of the operations from whose outputs each operation computes, in the order of computation.
        convolutions: names of the convolutions.

    Returns:
        Names in the order of computation.
    """
    after: set[str] = set()  # operations behind a convolution
    for name, sources in inputs.items():
        if any(source in convolutions or source in after for source in sources):
            after.add(name)
    before: set[str] = set()  # operations in front of one
    for name, sources in reversed(list(inputs.items())):
        if name in before or name in convolutions:
            before.update(sources)
    return [name for name in inputs if name not in after or name not in before]
