"""Upper bound of the stream's box counts, without reading an image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from augmented import config
from hypothesis import given, settings
from hypothesis import strategies as st
from small_datasets import labelled

from yolo.datasets.pipeline.picture_loader import Loader
from yolo.datasets.pipeline.shuffle import epoch_order
from yolo.datasets.pipeline.stream import TrainingStream


class Counting(TrainingStream):
    """Counts for how many positions it is drawn what they are made of."""

    draws = 0

    def sources(self, position: int) -> list[int]:
        self.draws += 1
        return super().sources(position)


def foreseeing(counts: list[int], mixtures: dict[str, float], **options: Any) -> Counting:
    """The stream of a dataset without files whose pictures have so many boxes."""
    loader = Loader(labelled([[0] * count for count in counts]), "letterbox")
    return Counting(loader, config(**mixtures), seed=8, **options)


@settings(max_examples=200, deadline=None)
@given(
    counts=st.lists(st.integers(0, 30), min_size=1, max_size=13),
    mixtures=st.fixed_dictionaries(dict.fromkeys(("mosaic", "mixup"), st.sampled_from([0.0, 0.5, 1.0]))),
    first=st.integers(0, 60),
    batch=st.integers(1, 30),
    plain_from=st.none() | st.integers(0, 6),
)
def test_as_many_boxes_as_the_pictures_of_each_position_have(
    counts: list[int], mixtures: dict[str, float], first: int, batch: int, plain_from: int | None
) -> None:
    """Against drawing it for every position; where no draw decides, one is enough."""
    stream = foreseeing(counts, mixtures, plain_from=plain_from)
    positions = range(first, first + batch)
    expected = max(sum(counts[picture] for picture in stream.sources(position)) for position in positions)
    stream.draws = 0
    assert stream.most_boxes(positions) == expected
    assert stream.draws <= (batch if 0.5 in mixtures.values() else 1)


@pytest.mark.parametrize(
    ("mixtures", "expected"),
    [
        ({}, [5, 1, 7, 2]),
        ({"mosaic": 1.0}, [15, 15, 15, 15]),
        ({"mixup": 1.0}, [6, 6, 9, 9]),  # 0 with 1, 2 with 3
        ({"mosaic": 1.0, "mixup": 1.0}, [16, 20, 17, 22]),
    ],
)
def test_boxes_by_hand(mixtures: dict[str, float], expected: list[int]) -> None:
    """Pictures with 5, 1, 7 and 2 boxes, in this order."""
    counts = [0] * 4
    for picture, count in zip(epoch_order(4, 8, 0), (5, 1, 7, 2), strict=True):
        counts[picture] = count
    stream = foreseeing(counts, mixtures)
    assert [stream.most_boxes([position]) for position in range(4)] == expected
    assert stream.most_boxes(range(1, 3)) == max(expected[1:3])


def test_few_positions_are_drawn_for_a_large_batch() -> None:
    """A tenth of them are blended, half are mosaics: of 4,096, those count that could have more than any has."""
    counts = (np.random.default_rng(0).geometric(0.12, 5000) - 1).tolist()
    stream = foreseeing(counts, {"mosaic": 0.5, "mixup": 0.1})
    assert stream.most_boxes(range(4096)) > 60
    assert stream.draws < 100
