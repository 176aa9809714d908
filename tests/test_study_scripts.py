"""Faults that the study of label errors plants, and how it counts what is found."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from tables import make_dataset, make_detections

from yolo.analysis.label_errors import LabelError
from yolo.evaluation.pairs import pair_overlaps

PATH = Path(__file__).parents[1] / "scripts" / "study_label_errors.py"


@pytest.fixture(scope="module")
def study():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PATH.parent)
        yield importlib.import_module(PATH.stem)


@pytest.fixture
def clean():
    rows = [
        (picture, place % 2, 90 * place, 10, 90 * place + 60, 80, False) for picture in range(80) for place in (0, 1)
    ]
    return make_dataset([*rows, (0, 0, 200, 200, 290, 290, True)], pictures=80)


def iou(box, other):
    return pair_overlaps(box[None], other[None], np.zeros(1, bool))[0]


def test_each_kind_of_fault_is_planted(study, clean):
    faulty, faults = study.plant(clean, np.random.default_rng(0))
    assert sorted(fault.kind for fault in faults) == sorted(2 * study.FAULTS)  # 5 % of 160
    assert len(faulty.boxes) == len(clean.boxes)  # two dropped, two added
    assert faulty.ignore.sum() == 1
    originals = {(int(picture), *box.tolist()): label for picture, box, label in zip(
        clean.box_pictures, clean.boxes, clean.labels, strict=True)}  # fmt: skip
    for fault in faults:
        label = originals.get((fault.picture, *fault.place.tolist()))
        if fault.kind == "missing":
            assert fault.row is None
            assert not (faulty[fault.picture].boxes == fault.place).all(axis=1).any()
            continue
        assert faulty.box_pictures[fault.row] == fault.picture
        box = faulty.boxes[fault.row]
        if fault.kind == "spurious":
            assert max(iou(box, other) for other in clean[fault.picture].boxes) < 0.1
        elif fault.kind == "relabelled":
            assert faulty.labels[fault.row] != label
            assert (box == fault.place).all()
        else:
            assert 0.2 <= iou(box, fault.place) <= 0.7
            assert faulty.labels[fault.row] == label
    rows = {fault.row for fault in faults}
    kept = [row for row in range(len(faulty.boxes)) if row not in rows]
    assert all((int(faulty.box_pictures[row]), *faulty.boxes[row].tolist()) in originals for row in kept)


def test_precisions_by_hand(study):
    """Three faults: the first entry finds one, the second the same again, the third another by its place alone."""
    place = np.array([0, 0, 10, 10], np.float32)
    faults = [study.Fault("shifted", 0, 4, place), study.Fault("missing", 1, None, place)]
    faults += [study.Fault("relabelled", 2, 7, place), study.Fault("spurious", 2, 8, place)]
    found = make_detections([(0, 0, 0, 0, 10, 10, 0.9), (1, 0, 0, 0, 10, 8, 0.8), (1, 0, 50, 50, 60, 60, 0.7)])
    entries = [
        LabelError("shifted", 0, 4, None, 0.9),
        LabelError("missing", 0, None, 0, 0.8),
        LabelError("missing", 1, None, 1, 0.7),
        LabelError("missing", 1, None, 2, 0.6),
        LabelError("spurious", 2, 8, None, 0.5),
    ]
    assert study.hits(entries, faults, found) == [faults[0], None, faults[1], None, faults[3]]
    precisions = study.precisions(entries, faults, found)
    assert precisions == {"overall": 0.5, "missing": 0, "shifted": 1, "relabelled": 0, "spurious": 1}
