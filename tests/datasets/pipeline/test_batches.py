"""Pipeline batches: content, order, and independence of the number of threads."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from augmented import config
from small_datasets import COUNTS, make_dataset

from yolo.config import AugmentConfig
from yolo.datasets.pipeline.batches import aligned_zeros, evaluation_batches, padded, training_batches
from yolo.datasets.pipeline.multi_scale import canvas_of_batch
from yolo.datasets.pipeline.picture_loader import Loader, Picture
from yolo.datasets.pipeline.quarantine import Quarantine
from yolo.datasets.pipeline.shuffle import epoch_order
from yolo.datasets.pipeline.stream import TrainingStream
from yolo.datasets.pipeline.tf_errors import reported_failures
from yolo.errors import AnnotationError, ConfigError, MediaError
from yolo.images.letterbox import Letterbox
from yolo.structs import Dataset

IDENTITY = AugmentConfig(flip=0, hue=0, saturation=0, brightness=0, scale=0, translate=0)
CANVAS = (64, 96)

Batch = tuple[np.ndarray, dict[str, np.ndarray]]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path)


def take(batches: Any, count: int) -> list[Batch]:
    return list(batches.take(count).as_numpy_iterator())


def train(dataset: Dataset, count: int, **options: Any) -> list[Batch]:
    options = {"batch": 4, "seed": 3, "augment": AugmentConfig(), "workers": 2, **options}
    return take(training_batches(dataset, CANVAS, **options), count)


def rows(batches: list[Batch]) -> list[tuple[np.ndarray, ...]]:
    """The samples one by one, without padding."""
    return [
        (images[row], *(targets[key][row][targets["valid"][row]] for key in ("boxes", "labels", "ignore")))
        for images, targets in batches
        for row in range(len(images))
    ]


def assert_equal_rows(received: list[tuple[np.ndarray, ...]], expected: list[tuple[np.ndarray, ...]]) -> None:
    assert len(received) == len(expected)
    for left, right in zip(received, expected, strict=True):
        for one, other in zip(left, right, strict=True):
            np.testing.assert_array_equal(one, other)


def shades(batches: list[Batch]) -> list[int]:
    """Which picture each sample of unaugmented batches is, from its centre."""
    return [int(image[CANVAS[0] // 2, CANVAS[1] // 2, 0]) // 20 for images, _ in batches for image in images]


def test_one_and_eight_threads_give_the_same_batches(dataset: Dataset) -> None:
    one, eight = (train(dataset, 12, workers=workers) for workers in (1, 8))
    for (images, targets), (other_images, other_targets) in zip(one, eight, strict=True):
        np.testing.assert_array_equal(images, other_images)
        assert targets.keys() == other_targets.keys() == {"boxes", "labels", "valid", "ignore"}
        for key, value in targets.items():
            np.testing.assert_array_equal(value, other_targets[key])


@pytest.mark.parametrize("start", [3, 7, 18])
def test_a_later_start_gives_the_tail_of_the_stream(dataset: Dataset, start: int) -> None:
    whole, tail = rows(train(dataset, 8)), rows(train(dataset, 3, start=start))
    assert_equal_rows(tail, whole[start : start + 12])


def test_the_batch_size_does_not_change_the_stream(dataset: Dataset) -> None:
    assert_equal_rows(rows(train(dataset, 7, batch=3)), rows(train(dataset, 3, batch=7)))


def test_another_seed_gives_other_pictures(dataset: Dataset) -> None:
    (one, _), (other, _) = train(dataset, 1)[0], train(dataset, 1, seed=4)[0]
    assert (one != other).any()


def test_an_augmented_picture_differs_from_epoch_to_epoch(dataset: Dataset) -> None:
    alone = dataset.subset([5])
    ((images, _),) = train(alone, 1)
    assert len({image.tobytes() for image in images}) == 4


def test_every_picture_once_an_epoch_in_the_epochs_order(dataset: Dataset) -> None:
    seen = shades(train(dataset, 7, batch=4, augment=IDENTITY))
    epochs = [seen[first : first + 7] for first in range(0, 28, 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert epochs == [list(epoch_order(7, 3, epoch)) for epoch in range(4)]
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_batches_hold_pictures_and_boxes_on_the_canvas(dataset: Dataset) -> None:
    """Unaugmented samples against Letterbox by hand; the box axis is 8, or the next power of two."""
    for images, targets in train(dataset, 4, augment=IDENTITY):
        assert images.shape == (4, *CANVAS, 3)
        assert images.dtype == np.uint8
        picture = [int(image[32, 48, 0]) // 20 for image in images]
        most = max(COUNTS[number] for number in picture)
        length = 8 if most <= 8 else 16 if most <= 16 else 32
        assert targets["boxes"].shape == (4, length, 4)
        assert [targets[key].dtype for key in ("boxes", "labels", "valid", "ignore")] == [
            np.float32, np.int32, np.bool_, np.bool_,
        ]  # fmt: skip
        for row, number in enumerate(picture):
            sample = dataset[number]
            letterbox = Letterbox(sample.size, CANVAS)
            valid = np.arange(length) < COUNTS[number]
            np.testing.assert_array_equal(targets["valid"][row], valid)
            np.testing.assert_allclose(targets["boxes"][row][valid], letterbox.boxes_to_canvas(sample.boxes), atol=1e-4)
            np.testing.assert_array_equal(targets["labels"][row][valid], sample.labels)
            np.testing.assert_array_equal(targets["ignore"][row][valid], sample.ignore)
            assert not targets["ignore"][row][~valid].any()


@pytest.mark.parametrize(("count", "length"), [(0, 8), (8, 8), (9, 16), (16, 16), (17, 32), (100, 128)])
def test_length_of_the_box_axis(tmp_path: Path, count: int, length: int) -> None:
    ((_, targets),) = train(make_dataset(tmp_path, (count,)), 1, batch=1, augment=IDENTITY)
    assert targets["boxes"].shape == (1, length, 4)
    assert targets["valid"].sum() == count


def test_static_shapes(dataset: Dataset) -> None:
    images, targets = training_batches(dataset, CANVAS, batch=4, seed=0, augment=IDENTITY).element_spec
    assert images.shape == (4, *CANVAS, 3)
    assert targets["boxes"].shape.as_list() == [4, None, 4]
    assert targets["valid"].shape.as_list() == [4, None]


def test_labels_and_ignore_follow_their_boxes(tmp_path: Path) -> None:
    """Box k covers the k-th band of the picture and is of a colour of its own."""
    colours = np.array([[250, 10, 10], [10, 250, 10], [10, 10, 250]], np.uint8)
    image = np.repeat(np.repeat(colours, 32, axis=0)[None], 64, axis=0)
    cv2.imwrite(str(tmp_path / "bands.png"), image[..., ::-1])
    boxes = np.array([[0, 0, 32, 64], [32, 0, 64, 64], [64, 0, 96, 64]], np.float32)
    dataset = Dataset(
        classes=("red", "green", "blue"), files=["bands.png"], sizes=np.array([[64, 96]], np.int32),
        offsets=np.array([0, 3]), boxes=boxes, labels=np.arange(3, dtype=np.int32),
        ignore=np.array([False, True, False]), areas=np.full(3, 2048, np.float32), image_ids=[1],
        category_ids=(1, 2, 3), folder=tmp_path,
    )  # fmt: skip
    augment = AugmentConfig(hue=0, translate=0.6, min_visibility=0.4)
    lost = 0
    for picture, moved, labels, ignore in rows(train(dataset, 10, augment=augment)):
        np.testing.assert_array_equal(ignore, labels == 1)
        for box, label in zip(moved, labels, strict=True):
            x, y = (int(side) for side in (box[:2] + box[2:]) / 2)
            assert picture[y, x].argmax() == label
        lost += 3 - len(labels)
    assert lost > 5


def test_evaluation_goes_in_order_and_pads_the_last_batch(dataset: Dataset) -> None:
    batches = take(evaluation_batches(dataset, CANVAS, batch=4, workers=2), -1)
    assert len(batches) == 2
    assert shades(batches)[:7] == list(range(7))
    np.testing.assert_array_equal([meta["index"] for _, meta in batches], [[0, 1, 2, 3], [4, 5, 6, -1]])
    np.testing.assert_array_equal(np.concatenate([meta["sizes"] for _, meta in batches])[:7], dataset.sizes)
    images, meta = batches[1]
    assert images.shape == (4, *CANVAS, 3)
    assert (images[3] == 127).all()
    assert not meta["valid"][3].any()
    boxes = meta["boxes"][1][meta["valid"][1]]
    np.testing.assert_allclose(Letterbox(dataset[5].size, CANVAS).boxes_to_image(boxes), dataset[5].boxes, atol=1e-3)


def test_evaluation_of_full_batches_needs_no_padding(dataset: Dataset) -> None:
    batches = take(evaluation_batches(dataset, CANVAS, batch=7), -1)
    np.testing.assert_array_equal([meta["index"] for _, meta in batches], [list(range(7))])


def test_stretch_fills_the_canvas(dataset: Dataset) -> None:
    for image, boxes, *_ in rows(take(evaluation_batches(dataset, CANVAS, batch=7, mode="stretch"), 1)):
        assert (image == image[0, 0]).all()
        assert (boxes <= [96, 64, 96, 64]).all()
    ((_, meta),) = take(evaluation_batches(dataset, CANVAS, batch=7, mode="stretch"), 1)
    height, width = dataset[2].size
    np.testing.assert_allclose(
        meta["boxes"][2][:3], dataset[2].boxes * np.tile([96 / width, 64 / height], 2), rtol=1e-5
    )


def test_boxes_are_cut_at_the_real_picture(dataset: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    """Annotated as 60 x 100, really 40 x 90 (picture 0): one box is cut, one lies outside."""
    wrong = replace(
        dataset.subset([0, 0]),
        sizes=np.array([[60, 100], [60, 100]], np.int32),
        boxes=np.array([[10, 10, 50, 55], [10, 45, 50, 55]], np.float32),
    )
    loader = Loader(wrong, "stretch")
    with caplog.at_level(logging.WARNING):
        np.testing.assert_allclose(loader.load(0, (40, 90)).boxes, [[10, 10, 50, 40]])
        record = loader.load(1, (40, 90))
        loader.load(1, (40, 90))
    assert record.boxes.shape == (0, 4)
    assert record.labels.shape == record.ignore.shape == (0,)
    assert [
        f"{wrong.path(0)}: height x width is 40 x 90, annotated as 60 x 100" in text for text in caplog.messages
    ] == [
        True,
        True,
    ]


@pytest.mark.parametrize("name", ["broken.jpg", "kaputt é ü.jpg"])
def test_an_unreadable_picture_is_named(dataset: Dataset, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no picture")
    broken = replace(dataset, files=[*dataset.files[:-1], name])
    with pytest.raises(MediaError, match=f"{name}: not a picture"), reported_failures():
        train(broken, 2)
    with pytest.raises(MediaError, match=f"{name}: not a picture"), reported_failures():
        take(evaluation_batches(broken, CANVAS, batch=2), -1)


def test_a_missing_picture_is_named_out_of_a_compiled_loop(dataset: Dataset) -> None:
    """As Keras on TensorFlow draws its batches."""
    import tensorflow as tf

    missing = replace(dataset, files=["nowhere.png", *dataset.files[1:]])
    batches = evaluation_batches(missing, CANVAS, batch=2)

    @tf.function
    def total(iterator: Any) -> Any:
        return tf.reduce_sum(tf.cast(next(iterator)[0], tf.int32))

    with pytest.raises(MediaError, match=r"nowhere\.png: cannot be read"), reported_failures():
        total(iter(batches))


def test_other_errors_pass_unchanged() -> None:
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError), reported_failures():
        tf.reshape([1, 2, 3], [2, 2])
    with pytest.raises(KeyError), reported_failures():
        raise KeyError


def test_no_pictures_to_train_on(dataset: Dataset) -> None:
    with pytest.raises(AnnotationError, match="no pictures to train on"):
        train(dataset.subset([]), 1)


def test_a_program_may_end_while_pictures_are_read(tmp_path: Path) -> None:
    """TensorFlow's threads must not enter an interpreter that shuts down: that aborts the process."""
    program = f"""
from pathlib import Path
import sys
sys.path[:0] = [{str(Path(__file__).parents[3] / "tests" / "helpers")!r}]
from small_datasets import make_dataset
from yolo.config import AugmentConfig
from yolo.datasets.pipeline.batches import training_batches
batches = iter(training_batches(
    make_dataset(Path({str(tmp_path)!r})), (416, 416), batch=16, seed=0, augment=AugmentConfig(), workers=4
))
next(batches)
"""
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


EVERYTHING = AugmentConfig(mosaic=0.6, mixup=0.4, rotate=5)


@pytest.mark.parametrize("start", [3, 6, 17])
def test_a_stream_of_mosaics_starts_anywhere(dataset: Dataset, start: int) -> None:
    """Groups of four straddle the batches and, with seven pictures, the borders of the epochs."""
    whole = rows(train(dataset, 8, augment=EVERYTHING))
    assert_equal_rows(rows(train(dataset, 3, augment=EVERYTHING, start=start, workers=1)), whole[start : start + 12])
    assert_equal_rows(rows(train(dataset, 5, augment=EVERYTHING, batch=6, workers=8)), whole[:30])


def test_a_mosaic_is_made_of_the_four_of_its_group(dataset: Dataset) -> None:
    order = [int(index) for epoch in range(4) for index in epoch_order(7, 3, epoch)]
    stream = TrainingStream(Loader(dataset, "letterbox"), config(mosaic=1.0), seed=3)
    for position in range(24):
        first = position // 4 * 4
        assert stream.sources(position) == order[first : first + 4]
    mosaics = train(dataset, 6, augment=config(mosaic=1.0))
    for position, (image, *_) in enumerate(rows(mosaics)):
        shades_seen = set(np.unique(image[..., 0])) - {127}
        assert shades_seen <= {20 * index for index in stream.sources(position)}
        assert len(shades_seen) > 1


def test_four_mosaics_read_four_files(dataset: Dataset) -> None:
    read: list[int] = []

    class Counting(Loader):
        def read(self, index: int, canvas_size: tuple[int, int]) -> Picture:
            read.append(index)
            return super().read(index, canvas_size)

    stream = TrainingStream(Counting(dataset, "letterbox"), AugmentConfig(mosaic=1.0, mixup=0.5), seed=3)
    stream.fill(np.zeros((12, *CANVAS, 3), np.uint8), range(4, 16))
    order = [int(index) for epoch in range(3) for index in epoch_order(7, 3, epoch)]
    assert sorted(read) == sorted(order[4:16])


def test_plain_from_a_position_on(dataset: Dataset) -> None:
    """Two epochs of mosaics, then the pictures of a stream that never had any; not at a batch's border."""
    with_mosaics, without = config(mosaic=1.0, mixup=1.0), config()
    switched = rows(train(dataset, 7, augment=with_mosaics, plain_from=14))
    assert_equal_rows(switched[:14], rows(train(dataset, 7, augment=with_mosaics))[:14])
    assert_equal_rows(switched[14:], rows(train(dataset, 7, augment=without))[14:])
    assert all(
        (left != right).any()
        for (left, *_), (right, *_) in zip(switched[:14], rows(train(dataset, 4, augment=without)), strict=False)
    )


@pytest.mark.parametrize("shards", [2, 3])
def test_hosts_share_each_batch(dataset: Dataset, shards: int) -> None:
    """Six pictures a batch: together the hosts have exactly its rows, and box axes of one length."""
    options: dict[str, Any] = {"batch": 6, "augment": EVERYTHING, "start": 5}
    together = rows(train(dataset, 4, **options))
    hosts = [train(dataset, 4, shard=shard, shards=shards, **options) for shard in range(shards)]
    share = 6 // shards
    for number in range(4):
        lengths = {host[number][1]["boxes"].shape[1] for host in hosts}
        assert len(lengths) == 1
        for shard, host in enumerate(hosts):
            first = 6 * number + share * shard
            assert_equal_rows(rows([host[number]]), together[first : first + share])


def test_a_replaced_picture_may_not_lengthen_one_hosts_box_axis(tmp_path: Path) -> None:
    """Picture 1 of two, without boxes, cannot be read; picture 0, with 20, takes its place on one host alone."""
    broken = make_dataset(tmp_path, (20, 0))
    (tmp_path / "1.png").write_bytes(b"")
    loader = Loader(broken, "letterbox", quarantine=Quarantine(broken))
    stream = TrainingStream(loader, IDENTITY, seed=0)
    position = next(position for position in range(2) if stream.sources(position) == [1])
    (replaced,) = stream.fill(np.zeros((1, *CANVAS, 3), np.uint8), [position])
    assert len(replaced.labels) == 20
    assert stream.most_boxes([position]) == 0
    arrays = padded([replaced], stream.most_boxes([position]))
    np.testing.assert_array_equal(arrays["boxes"][0], replaced.boxes[:8])
    assert arrays["valid"].all()


def test_no_picture_has_more_boxes_than_was_foreseen(dataset: Dataset) -> None:
    stream = TrainingStream(Loader(dataset, "letterbox"), config(mosaic=0.5, mixup=0.5, min_visibility=0.0), seed=1)
    objects = stream.fill(np.zeros((40, *CANVAS, 3), np.uint8), range(40))
    foreseen = [stream.most_boxes([position]) for position in range(40)]
    assert all(len(each.labels) <= most for each, most in zip(objects, foreseen, strict=True))
    assert stream.most_boxes(range(40)) == max(foreseen)
    assert any(len(each.labels) == most > 0 for each, most in zip(objects, foreseen, strict=True))


@pytest.mark.parametrize("shards", [2, 3])
def test_hosts_share_the_evaluation(dataset: Dataset, shards: int) -> None:
    """Seven pictures in batches of six: the last host's second batch is all padding."""
    hosts = [
        take(evaluation_batches(dataset, CANVAS, batch=6, shard=shard, shards=shards), -1) for shard in range(shards)
    ]
    assert [len(host) for host in hosts] == [2] * shards
    for number, (images, meta) in enumerate(take(evaluation_batches(dataset, CANVAS, batch=6), -1)):
        parts = [host[number] for host in hosts]
        np.testing.assert_array_equal(np.concatenate([part[0] for part in parts]), images)
        for key, value in meta.items():
            np.testing.assert_array_equal(np.concatenate([part[1][key] for part in parts]), value)
    indices = np.concatenate([meta["index"] for host in hosts for _, meta in host])
    assert sorted(indices) == [-1] * 5 + list(range(7))


def test_a_batch_that_cannot_be_shared_out(dataset: Dataset) -> None:
    for make in (
        lambda: train(dataset, 1, batch=5, shards=2),
        lambda: evaluation_batches(dataset, CANVAS, batch=5, shards=2),
    ):
        with pytest.raises(ConfigError, match=r"batch must be a multiple of the 2 hosts \(try 4\), got 5"):
            make()


def test_each_batch_has_its_own_canvas(dataset: Dataset) -> None:
    """The boxes reach to the same shares of every canvas; a later start draws the same sizes."""
    options: dict[str, Any] = {"augment": IDENTITY, "multi_scale": 0.5, "seed": 3}
    batches = train(dataset, 9, **options)
    sizes = [images.shape[1:3] for images, _ in batches]
    assert sizes == [canvas_of_batch(CANVAS, 0.5, 3, number) for number in range(9)]
    assert len(set(sizes)) == 3
    order = [int(index) for epoch in range(6) for index in epoch_order(7, 3, epoch)]
    for number, (images, targets) in enumerate(batches):
        for row in range(4):
            sample = dataset[order[4 * number + row]]
            expected = Letterbox(sample.size, images.shape[1:3]).boxes_to_canvas(sample.boxes)
            np.testing.assert_allclose(targets["boxes"][row][targets["valid"][row]], expected, atol=1e-4)
    assert_equal_rows(rows(train(dataset, 4, start=20, **options)), rows(batches[5:]))
    images, _ = training_batches(dataset, CANVAS, batch=4, **options).element_spec
    assert images.shape.as_list() == [4, None, None, 3]


def test_rare_classes_come_more_often(tmp_path: Path) -> None:
    """Class b on one of eight pictures: sqrt(0.5 / 0.125) = 2 of a sum of 9, so 8 * 2 / 9 times an epoch."""
    dataset = make_dataset(tmp_path, (1, 1, 1, 1, 1, 1, 1, 1))
    rare = replace(dataset, labels=np.array([0, 0, 0, 0, 1, 0, 0, 0], np.int32))
    seen = shades(train(rare, 18, batch=8, augment=IDENTITY, rare_classes=0.5))
    assert len(seen) == 144
    assert abs(seen.count(4) - 18 * 16 / 9) <= 6
    assert all(8 <= seen.count(number) <= 18 for number in range(8) if number != 4)


def test_a_corrupt_picture_is_replaced_by_the_next(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "4.png").write_bytes(b"no picture")
    order = [int(index) for epoch in range(2) for index in epoch_order(7, 3, epoch)]
    quarantine = Quarantine(dataset)
    seen = shades(
        train(dataset, 1, batch=7, augment=IDENTITY, loader=Loader(dataset, "letterbox", quarantine=quarantine))
    )
    place = order.index(4)
    assert seen == [*order[:place], order[place + 1], *order[place + 1 : 7]]


def test_tensorflow_takes_the_pictures_over_without_a_copy() -> None:
    for shape in ((3, 5, 7, 3), (2, 64, 96, 3), (16, 416, 416, 3)):
        images = aligned_zeros(shape)
        assert images.shape == shape
        assert images.flags.c_contiguous
        assert images.ctypes.data % 64 == 0
        assert not images.any()
