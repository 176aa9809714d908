"""TFRecord shards with an index, which hold the images and everything that is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from yolo.datasets.writers.writer import SCORES, Part, Target, Writer, count_scores, total


def write(parts: Sequence[Part], target: Target) -> None:
    from yolo.datasets.tfrecord.records import INDEX_SUFFIX
    from yolo.datasets.tfrecord.writer import part_name, remove_parts, write_tfrecords

    remove_parts(str(target.folder))
    total, done = sum(len(part.dataset) for part in parts), 0
    for part in parts:

        def progress(number: int, _: int, done: int = done) -> None:
            target.progress(done + number, total)

        converted, store, left_out = write_tfrecords(part.dataset, target.folder, progress=progress)
        done += len(part.dataset)
        target.left_out |= dict(left_out)
        target.counts[part.split] = len(converted), len(converted.boxes)
        target.claim([*store.shards, f"{part_name(part.dataset)}{INDEX_SUFFIX}"])


def cannot_hold(parts: Sequence[Part]) -> Mapping[str, int]:
    return {SCORES: total(parts, count_scores)}


WRITER = Writer("tfrecord", write, cannot_hold, None)
