"""Unreadable pictures: their replacements, the list of them, and the limit."""

from __future__ import annotations

import csv
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cfg_texts import STAGED
from noise_pictures import make_noise_dataset
from step_by_step import training_step_by_step

from yolo.config import AugmentConfig, TrainConfig
from yolo.datasets.pipeline.batches import training_batches
from yolo.datasets.pipeline.picture_loader import Loader
from yolo.datasets.pipeline.quarantine import Quarantine
from yolo.datasets.pipeline.tf_errors import reported_failures
from yolo.distributed.hosts import Hosts
from yolo.errors import AnnotationError, ConfigError, MediaError
from yolo.evaluation.evaluator import evaluate
from yolo.model.detector import Detector
from yolo.structs import Dataset
from yolo.training.run.held_out import hold_out
from yolo.training.trainer import RunOptions, make_run, train

CANVAS = (64, 96)
IDENTITY = AugmentConfig(flip=0, hue=0, saturation=0, brightness=0, scale=0, translate=0)


def break_pictures(dataset: Dataset, *indices: int) -> None:
    for index in indices:
        dataset.path(index).write_bytes(b"no picture")


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_the_first_that_can_be_read(tmp_path):
    dataset = make_noise_dataset(tmp_path, 40)
    break_pictures(dataset, 5, 2)
    quarantine = Quarantine(dataset)
    loader = Loader(dataset, "letterbox", quarantine=quarantine)
    picture = loader.read_any(iter([5, 2, 7, 8]), CANVAS)
    expected = loader.read(7, CANVAS)
    assert picture.index == 7
    np.testing.assert_array_equal(picture.image, expected.image)
    np.testing.assert_array_equal(picture.boxes, expected.boxes)
    assert list(quarantine.entries()) == [5, 2]
    assert loader.read_any([8, 5], CANVAS).index == 8
    assert len(quarantine) == 2


def test_without_a_quarantine_the_first_failure_ends_it(tmp_path):
    dataset = make_noise_dataset(tmp_path)
    break_pictures(dataset, 1)
    with pytest.raises(MediaError, match=r"001\.jpg: not a picture"):
        Loader(dataset, "letterbox").read_any([1, 2], CANVAS)


def test_when_no_candidate_can_be_read(tmp_path):
    dataset = make_noise_dataset(tmp_path, 50)
    break_pictures(dataset, 1, 3)
    loader = Loader(dataset, "letterbox", quarantine=Quarantine(dataset))
    with pytest.raises(MediaError, match=r"001\.jpg: not a picture"):
        loader.read_any([1, 3], CANVAS)
    with pytest.raises(MediaError, match="none of the pictures"):
        loader.read_any([1, 3], CANVAS)


def test_once_too_many_always_too_many(tmp_path):
    """The first error may have gone to a thread that nobody listens to."""
    dataset = make_noise_dataset(tmp_path)
    break_pictures(dataset, 1, 3)
    loader = Loader(dataset, "letterbox", quarantine=Quarantine(dataset))
    assert loader.read_any([1, 2], CANVAS).index == 2
    for _ in range(2):
        with pytest.raises(MediaError, match=r"2 of 6 pictures \(33\.3%\) cannot be read"):
            loader.read_any([3, 2], CANVAS)


def test_a_listed_picture_stays_out_even_if_it_could_be_read_again(tmp_path):
    """Else what a run learns would hang on when its files came back."""
    dataset = make_noise_dataset(tmp_path, 40)
    whole = dataset.path(4).read_bytes()
    break_pictures(dataset, 4)
    loader = Loader(dataset, "letterbox", quarantine=Quarantine(dataset))
    assert loader.read_any([4, 5], CANVAS).index == 5
    dataset.path(4).write_bytes(whole)
    assert loader.read_any([4, 5], CANVAS).index == 5


@pytest.mark.parametrize(
    ("pictures", "allowed"),
    [(1, 1), (6, 1), (20, 1), (39, 1), (40, 2), (59, 2), (60, 3)],  # 5 %, but one always
)
def test_how_many_are_too_many(tmp_path, pictures, allowed):
    dataset = make_noise_dataset(tmp_path, pictures)
    quarantine = Quarantine(dataset, path=tmp_path / "quarantine.csv")
    for index in range(allowed):
        quarantine.add(index, f"picture {index}: broken")
    assert not (tmp_path / "quarantine.csv").exists()
    if pictures > allowed:
        share = f"{(allowed + 1) / pictures:.1%}"
        expected = (
            f"{allowed + 1} of {pictures} pictures ({share}) cannot be read, more than 5%: mend or remove them. "
            f"The first: picture 0: broken; all are listed in {tmp_path / 'quarantine.csv'}"
        )
        with pytest.raises(MediaError) as caught:
            quarantine.add(allowed, "broken too")
        assert str(caught.value) == expected
        assert len(rows(tmp_path / "quarantine.csv")) == 1 + allowed + 1


def test_the_list_and_the_last_word(tmp_path):
    dataset = make_noise_dataset(tmp_path, 60)
    quarantine = Quarantine(dataset, path=tmp_path / "out.csv")
    assert quarantine.summary() is None
    quarantine.write()
    assert not (tmp_path / "out.csv").exists()
    quarantine.add(9, 'nine, "broken"')
    quarantine.add(3, "three\nbroken")
    quarantine.add(9, "again")
    quarantine.write()
    assert rows(tmp_path / "out.csv") == [
        ["file", "reason", "picture"],
        [str(dataset.path(3)), "three\nbroken", "3"],
        [str(dataset.path(9)), 'nine, "broken"', "9"],
    ]
    assert quarantine.summary() == (
        f"2 of 60 pictures could not be read and were replaced by others: see {tmp_path / 'out.csv'}"
    )
    with pytest.raises(ConfigError, match="cannot be written"):
        quarantine.write(tmp_path / "nowhere" / "out.csv")


def test_what_was_left_out_when_loading_is_listed_too(tmp_path):
    """It counts for nothing else, and a resumed run writes it again by itself."""
    left_out = {"b.xml": "b.xml: not XML", "data.csv:17": "data.csv:17: there is no picture 'x.jpg'"}
    dataset = make_noise_dataset(tmp_path, 60, left_out=left_out)
    quarantine = Quarantine(dataset, path=tmp_path / "out.csv")
    quarantine.add(3, "three broken")
    quarantine.write()
    assert rows(tmp_path / "out.csv")[1:] == [
        [str(dataset.path(3)), "three broken", "3"],
        ["b.xml", "b.xml: not XML", "-1"],
        ["data.csv:17", "data.csv:17: there is no picture 'x.jpg'", "-1"],
    ]
    resumed = Quarantine(dataset, path=tmp_path / "out.csv")
    resumed.read()
    assert list(resumed.entries()) == [3]
    training, held_out = hold_out(dataset)
    assert (training.left_out, held_out.left_out) == (left_out, {})


def test_the_list_of_an_earlier_part_of_the_run(tmp_path):
    dataset = make_noise_dataset(tmp_path, 60)
    first = Quarantine(dataset, path=tmp_path / "out.csv")
    first.add(9, "nine")
    first.add(50, "fifty")
    first.write()
    second = Quarantine(dataset, path=tmp_path / "out.csv")
    second.read()
    assert second.entries() == first.entries()
    assert 50 in second
    other = Quarantine(dataset.subset(np.arange(10)), path=tmp_path / "out.csv")
    other.read()
    assert list(other.entries()) == [9]  # 50 is not in it
    moved = Quarantine(dataset.subset(np.arange(60)[::-1]), path=tmp_path / "out.csv")
    moved.read()
    assert not len(moved)  # its picture 9 is another file


def test_names_that_are_no_unicode(tmp_path):
    dataset = make_noise_dataset(tmp_path, 40)
    odd = Dataset(**{**vars(dataset), "files": ["a\udcff.jpg", *dataset.files[1:]]})
    quarantine = Quarantine(odd, path=tmp_path / "out.csv")
    quarantine.add(0, "broken")
    quarantine.write()
    again = Quarantine(odd, path=tmp_path / "out.csv")
    again.read()
    assert again.entries() == quarantine.entries()


@pytest.mark.parametrize(
    "content", [b"a,b\n1,2\n", b"file,reason,picture\nx,y,z\n", b"file,reason,picture\nx\n", b"\xff"]
)
def test_what_is_no_list(tmp_path, content):
    (tmp_path / "out.csv").write_bytes(content)
    with pytest.raises(AnnotationError, match=r"out\.csv: not a list of unreadable pictures"):
        Quarantine(make_noise_dataset(tmp_path), path=tmp_path / "out.csv").read()


def test_many_threads_find_the_same_pictures(tmp_path, caplog):
    dataset = make_noise_dataset(tmp_path, 40)
    break_pictures(dataset, 0, 1)
    quarantine = Quarantine(dataset)
    loader = Loader(dataset, "letterbox", quarantine=quarantine)
    barrier = threading.Barrier(8)

    def read(number: int) -> int:
        barrier.wait()
        return loader.read_any([number % 2, 2 + number % 2], CANVAS).index

    with caplog.at_level(logging.WARNING), ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(8))) == [2, 3] * 4
    assert sorted(quarantine.entries()) == [0, 1]
    assert len(caplog.messages) == 2


def test_training_goes_on(tmp_path):
    """The batch of the whole set, with the broken picture's place taken by its neighbour in the stream."""
    dataset = make_noise_dataset(tmp_path, 20)

    def draw() -> list[np.ndarray]:
        loader = Loader(dataset, "letterbox", quarantine=quarantine)
        batches = training_batches(dataset, CANVAS, batch=20, seed=3, augment=IDENTITY, workers=2, loader=loader)
        return list(next(iter(batches.as_numpy_iterator()))[0])

    quarantine = Quarantine(dataset)
    whole = draw()
    from yolo.datasets.pipeline.shuffle import epoch_order

    order = epoch_order(20, 3, 0).tolist()
    break_pictures(dataset, order[6])
    damaged = draw()
    np.testing.assert_array_equal(damaged[6], whole[7])
    for place in (*range(6), *range(7, 20)):
        np.testing.assert_array_equal(damaged[place], whole[place])
    assert list(quarantine.entries()) == [order[6]]
    break_pictures(dataset, order[2])
    with pytest.raises(MediaError, match=r"2 of 20 pictures \(10\.0%\)"), reported_failures():
        draw()


TWO = {"classes": ("cat", "dog"), "category_ids": (7, 2)}


def test_what_cannot_be_validated_on_is_left_out(tmp_path):
    """The figures are those of the pictures that are left, and the list outlives the run."""
    dataset = make_noise_dataset(tmp_path / "data", 21, **TWO)
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
    expected = evaluate(detector, dataset.subset([index for index in range(21) if index != 5]), batch=4)
    with pytest.raises(AssertionError):
        np.testing.assert_equal(evaluate(detector, dataset, batch=4), expected)
    break_pictures(dataset, 5)
    with pytest.raises(MediaError, match=r"005\.jpg: not a picture"):
        evaluate(detector, dataset, batch=4)
    quarantine = Quarantine(dataset, replaced=False)
    for _ in range(2):
        np.testing.assert_equal(evaluate(detector, dataset, batch=4, quarantine=quarantine), expected)
    assert quarantine.summary() == "1 of 21 pictures could not be read and were skipped"
    break_pictures(dataset, 9)
    with pytest.raises(MediaError, match="2 of 21 pictures"):
        evaluate(detector, dataset, batch=4, quarantine=quarantine)


def test_no_picture_is_left(tmp_path):
    dataset = make_noise_dataset(tmp_path, 1, **TWO)
    break_pictures(dataset, 0)
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
    with pytest.raises(MediaError, match="none of its pictures can be read"):
        evaluate(detector, dataset, quarantine=Quarantine(dataset, replaced=False))


def test_a_run_lists_what_it_could_not_validate_on(tmp_path, caplog):
    dataset = make_noise_dataset(tmp_path / "data", 8, **TWO)
    break_pictures(dataset, 7)
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
    learned, validated = dataset.subset(range(4)), dataset.subset(range(4, 8))
    out = tmp_path / "run"
    with training_step_by_step():
        result = train(detector, learned, validation=validated, out=out, epochs=1, batch=4)
    assert result.metrics["images"] == 3
    ((*_, picture),) = rows(out / "quarantine-validation.csv")[1:]
    assert picture == "3"
    assert not (out / "quarantine.csv").exists()
    assert "1 of 4 pictures could not be read and were skipped: see" in caplog.text


def test_hosts_tell_each_other(tmp_path):
    """What one host could not read, the first one lists too."""
    dataset = make_noise_dataset(tmp_path / "data", 8, **TWO)
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
    run = make_run(detector, dataset, dataset, TrainConfig(batch=4), RunOptions(out=tmp_path / "run"))
    hosts = Hosts(0, 2)
    hosts.all_gather_text = lambda own: [own, '[[2, "its file", "its reason"]]']
    run.devices = replace(run.devices, hosts=hosts)
    run.loader.quarantine.add(1, "own reason")
    run.share_quarantines()
    assert run.loader.quarantine.entries() == {1: (str(dataset.path(1)), "own reason"), 2: ("its file", "its reason")}
    assert run.left_out.entries() == {2: ("its file", "its reason")}


def test_a_new_run_forgets_the_list_of_an_old_one(tmp_path):
    """Else, resumed, it would leave out pictures that have been mended since."""
    dataset = make_noise_dataset(tmp_path / "data", 8, **TWO)
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
    (tmp_path / "run").mkdir()
    lists = [tmp_path / "run" / name for name in ("quarantine.csv", "quarantine-validation.csv")]
    for path in lists:
        old = Quarantine(dataset, path=path)
        old.add(2, "broken then")
        old.write()
    with training_step_by_step():
        train(detector, dataset, validation=dataset, out=tmp_path / "run", epochs=1, batch=4)
    assert not any(path.exists() for path in lists)
