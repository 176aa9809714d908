"""Errors by kind: numbers of the published tool (tidecv 1.0.1) on worked cases, and small cases by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from detection_cases import random_case
from tables import make_dataset, make_detections

from yolo.analysis.error_kinds import KINDS, errors_by_kind
from yolo.errors import ConfigError
from yolo.evaluation.results import DetectionColumns

PUBLISHED = [
    # seed, AP50, errors of each kind, gain by each kind, by precision and by recall
    (77, 0.5353056734, [1, 1, 1, 5, 9, 3], [0.0058934465, 0.0050055006, 0.0, 0.0543532925, 0.1397218293, 0.1722732988],
     0.2204699041, 0.1722732988),
    (180, 0.4378437844, [0, 37, 11, 54, 72, 2], [0.0, 0.0068756876, 0.0349284928, 0.0643564356, 0.0832783278,
     0.100110011], 0.3146314631, 0.100110011),
    (210, 0.2949669967, [0, 20, 6, 49, 177, 1], [0.0, 0.0056105611, 0.0070132013, 0.0149614961, 0.3436468647,
     0.0206270627], 0.5400165017, 0.0206270627),
    (255, 0.3494224422, [1, 1, 1, 2, 2, 5], [0.1166018388, 0.0208922678, 0.0, 0.0247524752, 0.0006188119,
     0.2636138614], 0.0936468647, 0.428630363),
    (369, 0.6734048405, [0, 4, 1, 12, 4, 2], [0.0, 0.0598184818, 0.0082508251, 0.0185643564, 0.0357535754,
     0.1095984598], 0.1615786579, 0.1095984598),
    (464, 0.4244437727, [0, 47, 3, 121, 71, 1], [0.0, 0.0763478628, 0.0002816782, 0.025508411, 0.0530444443,
     0.0512853917], 0.4765463263, 0.0512853917),
]  # fmt: skip
"""Results of tidecv 1.0.1, divided by 100, on `worked_case`."""


def worked_case(seed):
    """Random case on whole pixels, so that overlaps are the same however they are computed; see `tests/helpers`."""
    dataset, found = random_case(seed)
    dataset = replace(dataset, boxes=np.round(dataset.boxes))
    kept = np.isin(found.labels, dataset.labels[~dataset.ignore])
    columns = (found.pictures, found.labels, found.scores, np.round(found.boxes))
    return dataset, DetectionColumns(*(column[kept] for column in columns))


@pytest.mark.parametrize("case", PUBLISHED, ids=lambda case: str(case[0]))
def test_worked_cases_of_the_published_tool(case):
    seed, ap50, counts, gains, precision, recall = case
    errors = errors_by_kind(*worked_case(seed))
    assert [row.count for row in errors.rows] == counts
    assert errors.ap50 == pytest.approx(ap50, abs=1e-9)
    assert [row.delta_ap50 for row in errors.rows] == pytest.approx(gains, abs=1e-9)
    assert (errors.false_positives, errors.false_negatives) == pytest.approx((precision, recall), abs=1e-9)


BOXES = [(0, 0, 0, 0, 10, 10, False), (0, 0, 20, 0, 30, 10, False), (0, 1, 40, 0, 50, 10, False)]
HITS = [(0, 0, 0, 0, 10, 10, 0.9), (0, 0, 20, 0, 30, 10, 0.8), (0, 1, 40, 0, 50, 10, 0.7)]


@pytest.mark.parametrize(
    ("rows", "kind", "gain"),
    [
        # The second cat has the wrong class: cats reach recall 1/2, dogs rank it above their hit (51/101 and 1/2).
        ([HITS[0], (0, 1, 20, 0, 30, 10, 0.8), HITS[2]], "class", 1 - (51 / 101 + 0.5) / 2),
        # The second cat is found, badly placed: recall 1/2.
        ([HITS[0], (0, 0, 20, 0, 30, 4, 0.8), HITS[2]], "localisation", (1 - 51 / 101) / 2),
        # A second detection of the first cat ranks before that of the second: 51 recalls at 1, 50 at 2/3.
        ([*HITS, (0, 0, 0, 0, 10, 9, 0.85)], "duplicate", (50 / 101) / 3 / 2),
        # A cat found on the ground before all others: precision 1/2, then 2/3 at every recall.
        ([*HITS, (0, 0, 80, 0, 90, 10, 0.95)], "background", (1 / 3) / 2),
        # A cat that overlaps the dog a little: neither class nor place.
        ([*HITS, (0, 0, 40, 0, 50, 3, 0.95)], "both", (1 / 3) / 2),
        # The second cat is not found at all; it is not counted.
        ([HITS[0], HITS[2]], "missed", (1 - 51 / 101) / 2),
    ],
)
def test_each_kind_alone_by_hand(rows, kind, gain):
    errors = errors_by_kind(make_dataset(BOXES, pictures=1), make_detections(rows))
    found = {row.kind: row for row in errors.rows}
    assert {name: row.count for name, row in found.items()} == {name: int(name == kind) for name in KINDS}
    assert found[kind].delta_ap50 == pytest.approx(gain)
    assert errors.ap50 + found[kind].delta_ap50 == pytest.approx(1)
    (case,) = found[kind].worst
    assert case.row is None if kind == "missed" else rows[case.row][6] == case.score
    assert case.true == {"duplicate": 0, "background": None, "both": 2}.get(kind, 1)
    assert errors.to_dict()["kinds"][kind] == {"count": 1, "delta_AP50": found[kind].delta_ap50}


def test_the_worst_come_first():
    dataset = make_dataset(
        [(0, 0, 0, 0, 10, 10, False), (1, 0, 0, 0, 30, 30, False), (1, 0, 50, 50, 99, 99, True)], pictures=2
    )
    found = make_detections(
        [
            (0, 1, 50, 0, 60, 10, 0.2),
            (1, 1, 60, 0, 70, 10, 0.6),
            (0, 1, 80, 0, 90, 10, 0.4),
            (1, 0, 55, 55, 60, 60, 0.9),
        ]
    )
    rows = {row.kind: row for row in errors_by_kind(dataset, found, worst=2).rows}
    assert rows["background"].count == 4  # the tool counts the one in the ignored box too
    assert [(case.picture, case.row, case.score) for case in rows["background"].worst] == [(1, 1, 0.6), (0, 2, 0.4)]
    assert [(case.picture, case.row, case.true) for case in rows["missed"].worst] == [(1, None, 1), (0, None, 0)]


def test_classes_without_true_boxes_enter_no_mean():
    found = make_detections([HITS[0], (0, 1, 70, 0, 80, 10, 0.9)])
    errors = errors_by_kind(make_dataset(BOXES[:1], pictures=1), found)
    assert errors.ap50 == 1
    assert [row.delta_ap50 for row in errors.rows] == [0] * 6


def test_errors_without_boxes_or_detections():
    empty = errors_by_kind(make_dataset([], pictures=1), make_detections(HITS))
    assert np.isnan(empty.ap50)
    assert [row.count for row in empty.rows] == [0, 0, 0, 0, 3, 0]
    nothing = errors_by_kind(make_dataset(BOXES, pictures=1), make_detections([]))
    assert nothing.ap50 == 0
    assert [row.count for row in nothing.rows] == [0, 0, 0, 0, 0, 3]


@pytest.mark.parametrize(("iou", "background"), [(0.5, 0.5), (0.5, 0), (1.5, 0.1)])
def test_thresholds_out_of_range(iou, background):
    with pytest.raises(ConfigError, match="background"):
        errors_by_kind(make_dataset([], pictures=1), make_detections([]), iou=iou, background=background)
