"""Report at the end of a run: whatever is wrong with it, the run is not lost."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from report_cases import three_pictures

from yolo.evaluation.results import RESULTS, DetectionColumns
from yolo.training.engine.reporting import describe_run, write_run_report
from yolo.training.run.folder import RunFolder


@pytest.fixture
def finished(tmp_path):
    """All of a finished run that a report looks at."""
    (tmp_path / "data").mkdir()
    dataset, found = three_pictures(tmp_path / "data")
    folder = RunFolder(tmp_path / "run")
    folder.write_results(dataset, found)
    metrics = {"coco": {"AP": 0.4, "AP50": 0.5}, "voc07": {"mAP": 0.5}, "voc12": {"mAP": 0.5}, "images": 3}
    classes = {name: {"AP": 0.4, "AP50": 0.5, "instances": 2} for name in dataset.classes}
    return SimpleNamespace(
        folder=folder,
        config=SimpleNamespace(report=True),
        devices=SimpleNamespace(hosts=SimpleNamespace(first=True)),
        left_out=SimpleNamespace(entries=dict),
        dataset=dataset,
        validation=dataset,
        detector=SimpleNamespace(variant="tiny", canvas=(160, 160), anchors=np.array([[10.0, 20]])),
        state=SimpleNamespace(metrics={**metrics, "classes": classes}),
        batch=4,
    )


def test_it_is_written(finished):
    describe_run(finished)
    write_run_report(finished)
    page = (finished.folder.path / "report.html").read_text(encoding="utf-8")
    assert "tiny on three" in page
    assert 'id="pictures"' in page


def test_pictures_that_could_not_be_read_do_not_count_as_missed(finished):
    finished.left_out.entries = lambda: {1: "damaged"}
    read = finished.dataset.subset([0, 2])
    kept = DetectionColumns.of(three_pictures(finished.dataset.folder)[1], np.array([0, 2]))
    finished.folder.write_results(read, kept)
    write_run_report(finished)
    page = (finished.folder.path / "report.html").read_text(encoding="utf-8")
    assert "finds 100% of the objects" in page


def test_a_fault_is_a_warning(finished, caplog):
    (finished.folder.path / RESULTS).write_text("{")
    write_run_report(finished)
    assert "the report could not be made" in caplog.text
    assert not (finished.folder.path / "report.html").exists()


def test_nothing_for_those_who_want_none(finished):
    finished.config.report = False
    describe_run(finished)
    write_run_report(finished)
    assert [path.name for path in finished.folder.path.iterdir()] == [RESULTS]
