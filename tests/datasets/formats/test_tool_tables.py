"""Tables with JSON in their fields: Label Studio's CSV and TSV, VIA's CSV, and what is left out of them."""

import csv
import io
import json

import pytest
from damage import damaged
from format_examples import BOX, LABEL_STUDIO_MIN, VIA_REGION, objects_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import dataset_or_fault, write_picture

from yolo import load_dataset
from yolo.datasets.load import available_splits, recognise

VIA_HEADER = [
    "filename",
    "file_size",
    "file_attributes",
    "region_count",
    "region_id",
    "region_shape_attributes",
    "region_attributes",
]


def table(rows, delimiter=","):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue()


def via_row(name="a.jpg", shape=VIA_REGION["shape_attributes"], attributes=VIA_REGION["region_attributes"]):
    return [name, 1234, "{}", 1, 0, json.dumps(shape), json.dumps(attributes)]


def label_studio(delimiter=","):
    task = LABEL_STUDIO_MIN[0]
    key = next(key for key, value in task.items() if isinstance(value, list))
    header = ["annotation_id", "annotator", "created_at", "id", "image", key, "lead_time", "updated_at"]
    return table([header, [1, 1, "x", 1, "/data/upload/1/1a2b3c4d-a.jpg", json.dumps(task[key]), 1.5, "x"]], delimiter)


TABLES = {
    "pets.csv": ("VIA", table([VIA_HEADER, via_row()])),
    "via_csv.csv": ("VIA", table([[f"#{VIA_HEADER[0]}", *VIA_HEADER[1:]], via_row()])),
    "project-1.csv": ("Label Studio", label_studio()),
    "project-1.tsv": ("Label Studio", label_studio("\t")),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_and_its_folder(tmp_path, name):
    write_picture(tmp_path / "images" / "a.jpg")
    (tmp_path / name).write_text(TABLES[name][1], encoding="utf-8")
    assert recognise(tmp_path).format == TABLES[name][0]
    for path in (tmp_path, tmp_path / name):
        dataset = load_dataset(path)
        assert objects_of(dataset) == [("a.jpg", "cat", pytest.approx(BOX, abs=1e-3))]
        assert (dataset.repairs, dataset.left_out) == ({}, {})


def test_splits_and_a_picture_without_regions(tmp_path):
    for split in ("train", "val"):
        for name in ("a.jpg", "b.jpg"):
            write_picture(tmp_path / split / name)
        rows = [VIA_HEADER, via_row(), via_row(), via_row("b.jpg", {}, {})]
        (tmp_path / split / "via.csv").write_text(table(rows), encoding="utf-8")
    assert available_splits(tmp_path) == ("train", "val")
    dataset = load_dataset(tmp_path, "val")
    assert dataset.box_counts.tolist() == [1, 0]
    assert dataset.repairs == {"objects repeated in their file, taken once": 1}


def test_a_broken_row_is_left_out(tmp_path):
    for index in range(20):
        write_picture(tmp_path / f"{index}.jpg")
    rows = [VIA_HEADER, *(via_row(f"{index}.jpg") for index in range(20)), via_row("20.jpg", "x")]
    file = tmp_path / "via.csv"
    file.write_text(table(rows), encoding="utf-8")
    reason = "expected a filename and region_shape_attributes in JSON; mend or remove the line"
    assert list(load_dataset(tmp_path).left_out.values()) == [f"{file}:22: {reason}"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(TABLES)), data=st.data())
def test_damage_gives_a_dataset_or_an_error(tmp_path, name, data):
    write_picture(tmp_path / "a.jpg")
    for old in TABLES:
        (tmp_path / old).unlink(missing_ok=True)
    (tmp_path / name).write_bytes(damaged(data, TABLES[name][1].encode()))
    dataset_or_fault(tmp_path)
