"""TFRecord shards: what is written, what comes back, from anywhere, and what damage says."""

from __future__ import annotations

import json
import logging
import os
import struct
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from damage import damaged
from hypothesis import given, settings
from hypothesis import strategies as st
from noise_pictures import make_noise_dataset
from short_files import no_file_longer_than

from yolo import AnnotationError, ConfigError, Dataset, MediaError, fit_anchors, load_dataset
from yolo.config import AugmentConfig
from yolo.datasets.load import available_splits
from yolo.datasets.pipeline.batches import training_batches
from yolo.datasets.pipeline.picture_loader import Loader
from yolo.datasets.tfrecord.crc32c import MASK, masked_crc32c
from yolo.datasets.tfrecord.records import RecordStore, find_parts, split_name
from yolo.datasets.tfrecord.writer import Converted, remove_parts, write_tfrecords

CANVAS = (64, 96)
COLUMNS = ("sizes", "offsets", "boxes", "labels", "ignore", "areas")


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    return make_noise_dataset(tmp_path / "data", 10)


@pytest.fixture(params=["folder", "address"])
def place(request, tmp_path) -> str:
    """Where shards go: a folder, and what stands for a bucket."""
    if request.param == "folder":
        (tmp_path / "out").mkdir()
        return str(tmp_path / "out")
    address = f"ram://bucket/{tmp_path.name}"
    tf.io.gfile.makedirs(address)
    return address


@pytest.fixture
def out(tmp_path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def assert_same_columns(found: Dataset, expected: Dataset) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
        assert getattr(found, name).dtype == getattr(expected, name).dtype
    assert (found.classes, found.category_ids) == (expected.classes, expected.category_ids)
    assert (list(found.files), list(found.image_ids)) == (list(expected.files), list(expected.image_ids))


def examples(shards: list[str]) -> list[list[Any]]:
    """The features of every record of every shard, by TensorFlow's own reader, which checks each CRC."""
    return [
        [tf.train.Example.FromString(each.numpy()).features.feature for each in tf.data.TFRecordDataset(shard)]
        for shard in shards
    ]


# The CRC


def crc32c(data: bytes) -> int:
    """The CRC without TFRecord's mask."""
    turned = (masked_crc32c(data) - MASK) & 0xFFFFFFFF
    return (turned << 15 | turned >> 17) & 0xFFFFFFFF


def test_the_crc_of_the_standard():
    """RFC 3720, B.4."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(bytes([255] * 32)) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"") == 0


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=100), repeat=st.integers(1, 40))
def test_the_crc_of_any_length(data, repeat):
    """Bit by bit, as the polynomial says."""
    register = 0xFFFFFFFF
    for byte in data * repeat:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    assert crc32c(data * repeat) == register ^ 0xFFFFFFFF


# There and back


def test_everything_comes_back(dataset, place):
    converted, store, left_out = write_tfrecords(dataset, place, shards=3)
    found = load_dataset(place)
    assert_same_columns(found, dataset)
    assert_same_columns(converted, dataset)
    assert (left_out, len(store.shards)) == ([], 3)
    assert found.fingerprint == dataset.fingerprint
    assert available_splits(place) == ()
    assert isinstance(found.store, RecordStore)
    for index in range(len(dataset)):
        assert found.store.read(index) == dataset.path(index).read_bytes()
        np.testing.assert_array_equal(found.image(index), dataset.image(index))


def test_the_loader_sees_no_difference(dataset, place):
    write_tfrecords(dataset, place, shards=3)
    here, there = Loader(dataset, "letterbox"), Loader(load_dataset(place), "letterbox")
    for index in range(len(dataset)):
        for mine, other in zip(here.read(index, CANVAS), there.read(index, CANVAS), strict=True):
            np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("start", [0, 12])
def test_training_sees_no_difference(dataset, place, start):
    """Order, augmentation and pictures, from the beginning and taken up in the middle."""
    write_tfrecords(dataset, place, shards=2)
    options: dict[str, Any] = {"batch": 4, "seed": 5, "augment": AugmentConfig(mosaic=0.5), "workers": 2}
    here = training_batches(dataset, CANVAS, start=start, **options).take(4).as_numpy_iterator()
    there = training_batches(load_dataset(place), CANVAS, start=start, **options).take(4).as_numpy_iterator()
    for (images, targets), (other_images, other_targets) in zip(here, there, strict=True):
        np.testing.assert_array_equal(images, other_images)
        for key, value in targets.items():
            np.testing.assert_array_equal(value, other_targets[key])


def test_anchors_see_no_difference(dataset, out):
    write_tfrecords(dataset, out)
    np.testing.assert_array_equal(fit_anchors(load_dataset(out), 3, 96), fit_anchors(dataset, 3, 96))


def test_subsets_know_their_records(dataset, out):
    write_tfrecords(dataset, out, shards=3)
    some = load_dataset(out).subset([7, 2, -1])
    assert some.store is not None
    for index, source in enumerate((7, 2, 9)):
        np.testing.assert_array_equal(some.image(index), dataset.image(source))


def test_splits(dataset, out):
    train, val = dataset.subset([3, 1, 4], split="train"), dataset.subset([0, 2], split="val")
    for part in (train, val):
        write_tfrecords(part, out, shards=2)
    assert available_splits(out) == ("train", "val")
    assert_same_columns(load_dataset(out, "val"), val)
    assert load_dataset(out, "train").split == "train"
    with pytest.raises(AnnotationError, match="it has the splits train, val; choose one"):
        load_dataset(out)


def test_a_single_split_needs_no_choice(dataset, out):
    write_tfrecords(replace(dataset, split="train"), out)
    assert available_splits(out) == ("train",)
    assert load_dataset(out).split == "train"


def test_other_classes(dataset, out):
    write_tfrecords(dataset, out)
    wanted = ("bat", "dog", "cat", "owl")
    found = load_dataset(out, classes=wanted)
    assert [found.classes[label] for label in found.labels] == [dataset.classes[label] for label in dataset.labels]
    assert found.category_ids == (10, 2, 7, 9)  # the source's; a free one for the class it does not have
    with pytest.raises(AnnotationError, match=r"002\.png: object 1: class 'dog' is not in the list \(cat\)"):
        load_dataset(out, classes=["cat"])


def test_absolute_names_stay_behind(dataset, out):
    absolute = replace(dataset, files=[str(dataset.path(index)) for index in range(10)], folder=Path())
    write_tfrecords(absolute, out)
    assert load_dataset(out).files[:2] == ["000.png", "001.jpg"]


def test_bad_pictures_are_left_out_and_listed(dataset, place):
    dataset.path(4).write_bytes(dataset.path(4).read_bytes()[:-9])
    dataset.path(1).unlink()
    _, _, left_out = write_tfrecords(dataset, place, shards=2)
    found = load_dataset(place)
    assert_same_columns(found, dataset.subset([0, 2, 3, 5, 6, 7, 8, 9]))
    with tf.io.gfile.GFile(f"{place}/pictures.left_out.csv") as file:
        lines = file.read().splitlines()
    assert lines[0] == "file,reason"
    assert [Path(line.split(",")[0]).name for line in lines[1:]] == ["001.jpg", "004.png"]
    assert {Path(file).name for file, _ in left_out} == {"001.jpg", "004.png"}
    assert "No such file" in lines[1]


def test_nothing_to_write(dataset, out):
    with pytest.raises(AnnotationError, match="no pictures to convert"):
        write_tfrecords(dataset.subset([]), out)
    dataset.path(1).write_bytes(b"x")
    with pytest.raises(AnnotationError, match=r"none of the 1 pictures can be read.*not a picture"):
        write_tfrecords(dataset.subset([1]), out)


# What other programs see


def test_records_are_those_of_the_object_detection_api(dataset, out):
    _, store, _ = write_tfrecords(dataset, out, shards=3)
    shards = examples([str(out / name) for name in store.shards])
    by_name = {each["image/filename"].bytes_list.value[0].decode(): each for shard in shards for each in shard}
    assert len(by_name) == 10
    for index, sample in enumerate(dataset):
        features, (height, width) = by_name[dataset.files[index]], sample.size
        assert features["image/encoded"].bytes_list.value[0] == sample.path.read_bytes()
        assert features["image/format"].bytes_list.value[0] == (b"jpeg" if index % 2 else b"png")
        assert features["image/source_id"].bytes_list.value[0].decode() == str(sample.image_id)
        assert [features[f"image/{side}"].int64_list.value[0] for side in ("height", "width")] == [height, width]
        for axis, side in enumerate(("xmin", "ymin", "xmax", "ymax")):
            expected = (sample.boxes[:, axis].astype(float) / (width, height)[axis % 2]).astype(np.float32)
            assert list(features[f"image/object/bbox/{side}"].float_list.value) == expected.tolist()
        assert list(features["image/object/class/label"].int64_list.value) == (sample.labels + 1).tolist()
        names = [each.decode() for each in features["image/object/class/text"].bytes_list.value]
        assert names == [dataset.classes[label] for label in sample.labels]
        assert list(features["image/object/is_crowd"].int64_list.value) == sample.ignore.tolist()


def test_every_shard_is_a_fair_sample(tmp_path, out):
    """Pictures dealt out in a random order, as many to each; the same again with the same seed."""
    dataset = make_noise_dataset(tmp_path / "data", 40)
    _, store, _ = write_tfrecords(dataset, out, shards=4, seed=3)
    assert np.bincount(store.shard).tolist() == [10] * 4
    order = np.random.default_rng(3).permutation(40)
    for shard in range(4):
        own = np.flatnonzero(store.shard == shard)
        assert own[np.argsort(store.offset[own])].tolist() == order[shard::4].tolist()


def test_as_many_shards_as_it_takes(dataset, out, monkeypatch):
    size = sum(dataset.path(index).stat().st_size for index in range(10))
    monkeypatch.setattr("yolo.datasets.tfrecord.writer.SHARD_BYTES", size / 3.5)
    assert len(write_tfrecords(dataset, out).store.shards) == 4
    assert len(write_tfrecords(dataset, out, shards=99).store.shards) == 10  # none without a picture


def test_converted_once_more(dataset, out, tmp_path):
    write_tfrecords(dataset, out, shards=3)
    (tmp_path / "again").mkdir()
    write_tfrecords(load_dataset(out), tmp_path / "again", shards=1)
    assert load_dataset(tmp_path / "again").fingerprint == dataset.fingerprint


# Without an index


def by_name(dataset: Dataset) -> Dataset:
    return dataset.subset(np.argsort(dataset.files))


def test_a_lost_index(dataset, place, caplog):
    write_tfrecords(dataset, place, shards=3)
    tf.io.gfile.remove(f"{place}/pictures.index.npz")
    with caplog.at_level(logging.INFO):
        found = by_name(load_dataset(place))
    assert "no index; reading all 3 shards once" in caplog.text
    assert available_splits(place) == ()
    np.testing.assert_array_equal(found.boxes, dataset.boxes)
    np.testing.assert_array_equal(found.sizes, dataset.sizes)
    np.testing.assert_array_equal(found.ignore, dataset.ignore)
    assert found.classes == ("cat", "dog")  # nobody is an owl
    assert found.category_ids == (1, 2)
    np.testing.assert_array_equal(found.labels, dataset.labels)
    for index in range(len(dataset)):
        np.testing.assert_array_equal(found.image(index), dataset.image(index))
    assert not tf.io.gfile.exists(f"{place}/pictures.index.npz")


def feature(value: list[Any]) -> tf.train.Feature:
    if isinstance(value[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=value))
    if isinstance(value[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=value))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=value))


def example(**features: list[Any]) -> bytes:
    """A record of another program; ``bbox__xmin`` stands for image/object/bbox/xmin."""
    names = {name: "image/object/" + name.replace("__", "/") if "__" in name else f"image/{name}" for name in features}
    content = {names[name]: feature(value) for name, value in features.items() if value}
    return tf.train.Example(features=tf.train.Features(feature=content)).SerializeToString()


def write_records(path: Path, records: list[bytes]) -> Path:
    with tf.io.TFRecordWriter(str(path)) as file:
        for record in records:
            file.write(record)
    return path


def plain(dataset: Dataset, index: int, **changes: list[Any]) -> bytes:
    """A record with the least that there has to be: one box over the left half."""
    values: dict[str, list[Any]] = {
        "encoded": [dataset.path(index).read_bytes()],
        "bbox__xmin": [0.0],
        "bbox__xmax": [0.5],
        "bbox__ymin": [0.0],
        "bbox__ymax": [1.0],
        "class__label": [3],
        **changes,
    }
    return example(**values)


def test_records_of_other_programs(dataset, out):
    write_records(out / "birds.record", [plain(dataset, 1), plain(dataset, 2, class__label=[1])])
    found = load_dataset(out)
    assert found.sizes.tolist() == dataset.sizes[1:3].tolist()  # the pictures', for the records do not say
    height, width = dataset.sizes[1]
    np.testing.assert_allclose(found[0].boxes, [[0, 0, width / 2, height]])
    assert (found.classes, found.category_ids) == (("1", "3"), (1, 3))
    assert found.labels.tolist() == [1, 0]
    assert found.files[0] == "birds.record at byte 0"
    np.testing.assert_array_equal(found.image(1), dataset.image(2))


def test_a_label_map(dataset, out):
    write_records(out / "birds.record", [plain(dataset, 1), plain(dataset, 2, class__label=[1])])
    (out / "map.pbtxt").write_text("item { id: 1\n name: 'crow' }\nitem {\n  name: \"owl\"\n  id: 3\n}\n# end")
    found = load_dataset(out)
    assert (found.classes, found.labels.tolist()) == (("crow", "owl"), [1, 0])


def test_names_without_numbers(dataset, out):
    texts = [plain(dataset, 1, class__label=[], class__text=[b"owl"])]
    texts.append(plain(dataset, 2, class__label=[], class__text=[b"crow"]))
    write_records(out / "birds.tfrecords", texts)
    found = load_dataset(out)
    assert (found.classes, found.labels.tolist()) == (("crow", "owl"), [1, 0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoded": []}, r"at byte 0: the record holds no image/encoded"),
        ({"bbox__xmin": [0.0, 0.1]}, "as many image/object/bbox/xmin as of the other three"),
        ({"class__label": [1, 2]}, "1 boxes, but 2 image/object/class/label"),
        ({"class__label": []}, "boxes without image/object/class/text or image/object/class/label"),
        ({"class__text": [b"a", b"b"]}, "1 boxes, but 2 image/object/class/text"),
    ],
)
def test_records_that_contradict_themselves(dataset, out, changes, message):
    path = write_records(out / "birds.record", [plain(dataset, 1, **changes)])
    with pytest.raises(AnnotationError, match=message) as caught:
        load_dataset(out)
    assert str(caught.value).startswith(str(path))


def test_a_number_of_two_names(dataset, out):
    records = [plain(dataset, 1, class__text=[b"owl"]), plain(dataset, 2, class__text=[b"crow"])]
    write_records(out / "birds.record", records)
    with pytest.raises(AnnotationError, match="class 3 is 'owl' and 'crow'"):
        load_dataset(out)


def test_records_that_are_no_examples(out):
    write_records(out / "a.tfrecord", [b"\xff\xff\xff"])
    with pytest.raises(AnnotationError, match=r"a\.tfrecord at byte 0: the record is no tf\.train\.Example"):
        load_dataset(out)


def test_a_record_that_claims_more_than_there_is(out):
    """A right CRC over a length of 2**60: nothing may be allocated for it."""
    header = struct.pack("<Q", 2**60)
    (out / "a.tfrecord").write_bytes(header + struct.pack("<I", masked_crc32c(header)) + bytes(50))
    with pytest.raises(AnnotationError, match=r"at byte 0: the file ends within this record"):
        load_dataset(out)


def test_compressed_shards(out):
    with tf.io.TFRecordWriter(str(out / "a.tfrecord"), options="GZIP") as file:
        file.write(b"x" * 100)
    with pytest.raises(AnnotationError, match=r"a\.tfrecord: compressed"):
        load_dataset(out)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_damage_to_a_shard_without_index_is_found(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damage")
    path = write_records(folder / "a.tfrecord", [example(encoded=[b"x" * 40], height=[4], width=[5])] * 2)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), label="cut"):
        end = data.draw(st.integers(1, len(content) - 1).filter(lambda end: end != len(content) // 2))
        content = content[:end]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(AnnotationError, match=r"a\.tfrecord"):
        load_dataset(folder)


# Names of files


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train-00000-of-00008.tfrecord", ("train", 8)),
        ("coco_val.record-00003-of-00010", ("coco_val", 10)),
        ("a.b.tfrecords", ("a.b", 0)),
        ("a.tfrecord-00001-of-00002", ("a", 2)),
        ("x.record", ("x", 0)),
        (".train-00000-of-00008.tfrecord.partial", (None, 0)),
        ("tfrecord.txt", (None, 0)),
        ("picture.jpg", (None, 0)),
    ],
)
def test_names_of_shards(name, expected):
    assert split_name(name) == expected


@pytest.mark.parametrize("lost", [0, 2])
def test_missing_shards(dataset, out, lost):
    """As an interrupted conversion or copy leaves them."""
    write_tfrecords(dataset, out, shards=3)
    (out / "pictures.index.npz").unlink()
    (out / f"pictures-{lost:05}-of-00003.tfrecord").unlink()
    with pytest.raises(AnnotationError, match=r"2 shards of pictures, whose names say 3"):
        load_dataset(out)


def test_shards_of_two_versions(dataset, out):
    write_tfrecords(dataset, out, shards=1)
    write_tfrecords(dataset, out, shards=2)
    (out / "pictures.index.npz").unlink()
    with pytest.raises(AnnotationError, match=r"3 shards of pictures, whose names say 1, 2"):
        load_dataset(out)


def test_an_earlier_conversion_is_taken_away(dataset, place):
    write_tfrecords(dataset, place, shards=2)
    with tf.io.gfile.GFile(f"{place}/mine-00000-of-00001.tfrecord", "w") as file:
        file.write("another program's")
    remove_parts(place)
    assert tf.io.gfile.listdir(place) == ["mine-00000-of-00001.tfrecord"]


@pytest.mark.parametrize("address", ["ram://nowhere/at/all", "nonsense://x/y"])
def test_addresses_that_hold_nothing(address):
    with pytest.raises(AnnotationError, match=f"^{address}: (cannot be read|no TFRecord files there)"):
        load_dataset(address)


# Damage with an index


@pytest.fixture
def converted(dataset, out) -> Converted:
    return write_tfrecords(dataset, out, shards=2)


def test_a_damaged_record_is_named(converted, out, dataset):
    store, found = converted.store, load_dataset(out)
    place = out / store.shards[store.shard[6]]
    content = bytearray(place.read_bytes())
    content[store.offset[6] + 12 + store.length[6] // 2] ^= 4
    place.write_bytes(content)
    message = rf"^{place} at byte {store.offset[6]:,}: the record is damaged"
    with pytest.raises(MediaError, match=message):
        found.image(6)
    with pytest.raises(MediaError, match=message):
        Loader(found, "letterbox").read(6, CANVAS)
    np.testing.assert_array_equal(found.image(5), dataset.image(5))


def test_a_shard_of_another_length(converted, out):
    place = out / converted.store.shards[1]
    with place.open("ab") as file:
        file.write(b"x")
    size = place.stat().st_size
    with pytest.raises(AnnotationError, match=rf"^{place}: {size:,} bytes, {size - 1:,} by pictures\.index\.npz"):
        load_dataset(out)


def test_a_shard_that_is_gone(converted, out):
    place = out / converted.store.shards[1]
    found = load_dataset(out)
    place.unlink()
    with pytest.raises(AnnotationError, match=rf"{place}: cannot be read \(No such file"):
        load_dataset(out)
    with pytest.raises(MediaError, match=rf"{place}: cannot be read \(No such file"):
        found.image(int(np.flatnonzero(converted.store.shard == 1)[0]))


def test_a_shard_that_is_gone_from_an_address(dataset, tmp_path):
    address = f"ram://bucket/{tmp_path.name}"
    tf.io.gfile.makedirs(address)
    _, store, _ = write_tfrecords(dataset, address, shards=1)
    found = load_dataset(address)
    tf.io.gfile.remove(f"{address}/{store.shards[0]}")
    with pytest.raises(MediaError, match=f"^{address}/{store.shards[0]}: cannot be read"):
        found.image(0)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_damaged_index_never_gives_other_numbers(tmp_path_factory, data):
    """Either it is refused, or the damage was where nothing is read."""
    folder = tmp_path_factory.mktemp("index")
    dataset = make_noise_dataset(folder / "data", 3)
    write_tfrecords(dataset, folder)
    path = folder / "pictures.index.npz"
    path.write_bytes(damaged(data, path.read_bytes()))
    try:
        found = load_dataset(folder)
    except AnnotationError as error:
        assert str(error).startswith(str(path))  # noqa: PT017 - either way is right
        return
    assert_same_columns(found, dataset)


def change_index(path: Path, **changes: Any) -> None:
    """Write the index anew with other columns; a function changes the header."""
    with np.load(path) as archive:
        columns = dict(archive)
    for name, value in changes.items():
        if callable(value):
            content = json.loads(columns[name].tobytes())
            changed = value(content)
            columns[name] = np.frombuffer(json.dumps(content if changed is None else changed).encode(), np.uint8)
        else:
            columns[name] = value
    np.savez(path, **columns)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes": np.zeros((3, 4), np.float32)}, "expected shape"),
        ({"boxes": np.full((13, 4), np.nan, np.float32)}, "boxes or sizes"),
        ({"labels": np.full(13, 9, np.int32)}, r"Dataset\.labels"),
        ({"labels": np.zeros(13, np.int64)}, "labels has another type"),
        ({"offset": np.full(10, 2**62)}, "outside its shard"),
        ({"offset": np.full(10, -1)}, "outside its shard"),
        ({"length": np.full(10, 2**62)}, "outside its shard"),
        ({"length": np.zeros(9, np.int64)}, "as many records"),
        ({"shard": np.full(10, 2, np.int32)}, "not listed"),
        ({"header": lambda header: header["shards"][0].update(name="../x")}, "another folder"),
        ({"header": lambda header: header.update(format="x")}, "of format 'x'"),
        ({"header": lambda header: header.update(classes=5)}, "not iterable"),
        ({"files": lambda files: [1] * len(files)}, "another kind"),
        ({"image_ids": lambda ids: [None] * len(ids)}, "another kind"),
        ({"header": lambda _: []}, "damaged"),
        ({"header": np.frombuffer(b"{", np.uint8)}, "damaged"),
        ({"header": np.frombuffer(b"[" * 100_000, np.uint8)}, "damaged"),
        ({"sizes": np.zeros((10, 2), np.int32)}, "boxes or sizes"),
    ],
)
@pytest.mark.usefixtures("converted")
def test_an_index_that_contradicts_itself(out, changes, message):
    path = out / "pictures.index.npz"
    change_index(path, **changes)
    with pytest.raises(AnnotationError, match=rf"^{path}: damaged .*{message}" if message != "damaged" else "damaged"):
        load_dataset(out)


@pytest.mark.usefixtures("converted")
def test_a_compressed_or_partial_index(out):
    path = out / "pictures.index.npz"
    with np.load(path) as archive:
        columns = dict(archive)
    np.savez_compressed(path, **columns)
    with pytest.raises(AnnotationError, match="is compressed"):
        load_dataset(out)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sizes.npy", b"\x93NUMPY\x01\x00")
    with pytest.raises(AnnotationError, match="damaged"):
        load_dataset(out)


# A disk that is full


def test_a_full_disk(dataset, out):
    with (
        no_file_longer_than(20_000),
        pytest.raises(ConfigError, match=rf"^{out}/pictures-00000-of-00001\.tfrecord: cannot be written"),
    ):
        write_tfrecords(dataset, out)
    assert os.listdir(out) == []  # noqa: PTH208
    assert find_parts(str(out)) == {}
