"""CVAT's own XML, "CVAT for images 1.1" (docs.cvat.ai, "XML annotation format"): ``annotations.xml`` and ``images/``.

CVAT imports it into a task with images of the same names and labels of the same names. A score goes into the attribute
``score``, which is kept where the label has such an attribute; `labels` describes both as CVAT's raw label editor does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

from yolo.datasets.writers.writer import (
    AREAS,
    CATEGORY_IDS,
    FLAGS,
    IMAGE_IDS,
    Layout,
    Part,
    Target,
    Writer,
    count_areas,
    count_category_ids,
    count_flags,
    count_image_ids,
    reader_ids,
    shortest,
    total,
)

SCORE = (
    "<attribute><name>score</name><mutable>False</mutable><input_type>text</input_type>"
    "<default_value></default_value><values></values></attribute>"
)
"""Attribute of a label, as CVAT exports it."""


def write(parts: Sequence[Part], target: Target) -> None:
    target.put("annotations.xml", "\n".join(document(parts)).encode())


def document(parts: Sequence[Part]) -> Iterator[str]:
    """Lines of the file."""
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield "<annotations>"
    yield "  <version>1.1</version>"
    yield f"  <meta><task><labels>{labels(parts)}</labels></task></meta>"
    number = 0
    for part in parts:
        boxes = shortest(part.dataset.boxes).tolist()
        for index in range(len(part.dataset)):
            yield from image(part, index, number, boxes)
            number += 1
    yield "</annotations>\n"


def labels(parts: Sequence[Part]) -> str:
    """Labels that a task needs."""
    scored = any(part.dataset.scores is not None for part in parts)
    attributes = f"<attributes>{SCORE if scored else ''}</attributes>"
    names = [escape(name) for name in parts[0].dataset.classes]
    return "".join(f"<label><name>{name}</name><type>rectangle</type>{attributes}</label>" for name in names)


def image(part: Part, index: int, number: int, boxes: Sequence[Sequence[float]]) -> Iterator[str]:
    """Lines of an image; ``boxes`` are those of the whole part."""
    data = part.dataset
    height, width = data.sizes[index].tolist()
    subset = "" if part.split is None else f" subset={quoteattr(part.split)}"
    yield f'  <image id="{number}" name={quoteattr(part.files[index])}{subset} width="{width}" height="{height}">'
    for row in range(data.offsets[index], data.offsets[index + 1]):
        sides = zip(("xtl", "ytl", "xbr", "ybr"), boxes[row], strict=True)
        corners = " ".join(f'{name}="{value:.15g}"' for name, value in sides)
        name = quoteattr(data.classes[data.labels[row]])
        source = "manual" if data.scores is None else "auto"
        start = f'    <box label={name} source="{source}" occluded="0" {corners} z_order="0">'
        score = "" if data.scores is None else f'<attribute name="score">{data.scores[row]:.4f}</attribute>'
        yield f"{start}{score}</box>"
    yield "  </image>"


def cannot_hold(parts: Sequence[Part]) -> Mapping[str, int]:
    return {
        AREAS: total(parts, count_areas),
        CATEGORY_IDS: count_category_ids(parts),
        FLAGS: total(parts, count_flags),
        IMAGE_IDS: total(parts, lambda part: count_image_ids(part, reader_ids(part))),
    }


WRITER = Writer("cvat", write, cannot_hold, Layout("images/{split}", "images"))
