"""Image cache: identical to reading, never stale, within its limit, robust to damage."""

from __future__ import annotations

import logging
import os
import shutil
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from damage import damaged
from hypothesis import given, settings
from hypothesis import strategies as st
from noise_pictures import LONG_AGO, make_noise_dataset, write_noise

from yolo.datasets.pipeline import cache as module
from yolo.datasets.pipeline.cache import (
    DiskCache,
    Key,
    MemoryCache,
    PictureCache,
    Pixels,
    make_cache,
    most_in_memory,
    picture_key,
)
from yolo.datasets.pipeline.picture_loader import Loader, Picture
from yolo.errors import ConfigError, MediaError
from yolo.structs import Dataset
from yolo.system import available_memory as memory
from yolo.system.available_memory import available_memory

CANVAS = (64, 96)
LARGE = 10**9


@pytest.fixture(autouse=True)
def files_are_old(monkeypatch):
    """No test can set the time of a file's last change; all but the one of young files need old ones."""
    monkeypatch.setattr(module, "SETTLING_NS", -(10**18))


@pytest.fixture(params=["ram", "disk"])
def cache(request, tmp_path) -> MemoryCache | DiskCache:
    if request.param == "ram":
        return MemoryCache(LARGE, pictures=6)
    (tmp_path / "cache").mkdir()
    return DiskCache(tmp_path / "cache", pictures=6)


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    return make_noise_dataset(tmp_path / "data")


class Counting:
    """A cache that counts how often something had to be made."""

    def __init__(self, inner: PictureCache) -> None:
        self.inner, self.made = inner, 0

    def pixels(self, key, make):
        def counted() -> Pixels:
            self.made += 1
            return make()

        return self.inner.pixels(key, counted)


def assert_same(first: Picture, second: Picture) -> None:
    for mine, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
def test_equal_to_reading(dataset, cache, mode):
    counting = Counting(cache)
    cached, plain = Loader(dataset, mode, cache=counting), Loader(dataset, mode)
    for _ in range(3):
        for index in range(len(dataset)):
            assert_same(cached.read(index, CANVAS), plain.read(index, CANVAS))
    assert counting.made == len(dataset)


def test_what_is_shared_cannot_be_written_to(dataset, cache):
    loader = Loader(dataset, "letterbox", cache=cache)
    for _ in range(2):
        with pytest.raises(ValueError, match="read-only"):
            loader.read(0, CANVAS).image[:] = 0
    with pytest.raises(ValueError, match="read-only"):
        Loader(dataset, "letterbox").read(0, CANVAS).image[:] = 0


def test_canvases_modes_and_annotated_sizes_are_kept_apart(dataset, cache):
    turned = replace(dataset, sizes=dataset.sizes[:, ::-1].copy())
    counting = Counting(cache)
    views = [(dataset, "letterbox", CANVAS), (dataset, "letterbox", (96, 64)), (dataset, "stretch", CANVAS)]
    views.append((turned, "letterbox", CANVAS))
    for data, mode, canvas in views * 2:
        loader = Loader(data, mode, cache=counting)
        assert_same(loader.read(1, canvas), Loader(data, mode).read(1, canvas))
    assert counting.made == len(views)


def test_boxes_are_always_the_datasets(dataset, cache):
    Loader(dataset, "letterbox", cache=cache).read(3, CANVAS)
    mended = replace(dataset, boxes=dataset.boxes / 2)
    picture = Loader(mended, "letterbox", cache=cache).read(3, CANVAS)
    assert_same(picture, Loader(mended, "letterbox").read(3, CANVAS))


def rewrite(path: Path) -> None:
    write_noise(path, height=33, width=56, seed=77)


def same_size_and_time(path: Path) -> None:
    """Other content of the same length, in place, and the old time put back."""
    status, data = path.stat(), bytearray(path.read_bytes())
    data[-20] ^= 1  # in the scan
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)


def moved_here(path: Path) -> None:
    status = path.stat()
    other = write_noise(path.with_name("other.jpg"), height=33, width=56, seed=78)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("change", [rewrite, same_size_and_time, moved_here])
def test_a_changed_file_is_read_anew(dataset, cache, change):
    counting = Counting(cache)
    loader = Loader(dataset, "letterbox", cache=counting)
    before = loader.read(1, CANVAS)
    change(dataset.path(1))
    after = loader.read(1, CANVAS)
    assert_same(after, Loader(dataset, "letterbox").read(1, CANVAS))
    assert (after.image != before.image).any()
    loader.read(1, CANVAS)
    assert counting.made == 2  # the new one is kept


def test_a_file_that_is_gone_is_an_error(dataset, cache):
    loader = Loader(dataset, "letterbox", cache=cache)
    loader.read(1, CANVAS)
    dataset.path(1).unlink()
    with pytest.raises(MediaError, match=r"001\.jpg: cannot be read"):
        loader.read(1, CANVAS)


def test_young_files_are_not_kept(dataset, cache, monkeypatch):
    """Within the tick of a clock they could be changed again and look the same."""
    monkeypatch.setattr(module, "SETTLING_NS", 10**18)
    counting = Counting(cache)
    for _ in range(2):
        Loader(dataset, "letterbox", cache=counting).read(1, CANVAS)
    assert counting.made == 2


def test_many_threads(dataset, cache):
    cached, plain = Loader(dataset, "letterbox", cache=cache), Loader(dataset, "letterbox")
    expected = [plain.read(index, CANVAS) for index in range(len(dataset))]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda index: cached.read(index % len(dataset), CANVAS), range(60)))
    for number, picture in enumerate(found):
        assert_same(picture, expected[number % len(dataset)])


# In memory


def kept(number: int, stamp: str = "a") -> Key:
    return Key(str(number), stamp, settled=True)


def block(size: int = 100) -> Pixels:
    return Pixels(np.zeros((size, 1, 1), np.uint8), (1, 1))


def test_memory_is_bounded(caplog):
    cache, made = MemoryCache(250, pictures=9), []

    def make(number: int) -> Pixels:
        made.append(number)
        return block()

    with caplog.at_level(logging.INFO):
        for number in (0, 1, 2, 3, 0, 1, 2, 3):
            cache.pixels(kept(number), lambda number=number: make(number))
    assert made == [0, 1, 2, 3, 2, 3]
    assert (len(cache), cache.used) == (2, 200)
    assert caplog.messages == [
        "cache: 2 resized pictures fit in memory (0.0 GiB, from 9 files); the others are decoded each time"
    ]
    cache.pixels(kept(0, stamp="b"), lambda: block(150))  # takes the place of the old one
    assert (len(cache), cache.used) == (2, 250)
    cache.pixels(kept(0, stamp="c"), lambda: block(151))  # does not fit: the stale one goes all the same
    assert (len(cache), cache.used) == (1, 100)


def write_cgroup(folder: Path, limit: str, usage: int, inactive: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{usage}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {inactive}\nactive_file 7\n")


@pytest.fixture
def system(tmp_path, monkeypatch) -> Path:
    """A made-up Linux: 1,000 KiB free, in the group /a/b of the second version of cgroups."""
    for name, path in (("OWN_CGROUP", "cgroup"), ("CGROUPS", "groups")):
        monkeypatch.setattr(memory, name, tmp_path / path)
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=1000 * 1024))
    (tmp_path / "cgroup").write_text("0::/a/b\n")
    return tmp_path


def test_free_memory_of_the_machine(system):
    assert available_memory() == 1000 * 1024
    write_cgroup(system / "groups" / "a" / "b", "max", 10, 0)
    assert available_memory() == 1000 * 1024


def test_free_memory_of_a_group_and_those_above_it(system):
    write_cgroup(system / "groups" / "a" / "b", "500000", 200_000, 50_000)
    assert available_memory() == 500_000 - 200_000 + 50_000
    write_cgroup(system / "groups" / "a", "300000", 290_000, 0)
    assert available_memory() == 10_000
    write_cgroup(system / "groups" / "a", "300000", 310_000, 0)
    assert available_memory() == 0


def test_free_memory_in_a_container(system):
    """Its group is named as the host knows it, but lies at the root."""
    write_cgroup(system / "groups", "400000", 100_000, 0)
    assert available_memory() == 300_000


def test_free_memory_under_the_first_version(system):
    (system / "cgroup").write_text("5:cpu,memory:/job\n1:name=systemd:/x\n")
    folder = system / "groups" / "memory" / "job"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text("600000")
    (folder / "memory.usage_in_bytes").write_text("100000")
    (folder / "memory.stat").write_text("inactive_file 9\ntotal_inactive_file 1000\n")
    assert available_memory() == 501_000
    (folder / "memory.limit_in_bytes").write_text(str(2**63 - 4096))
    assert available_memory() == 1000 * 1024


def test_free_memory_without_cgroups(system):
    (system / "cgroup").unlink()
    assert available_memory() == 1000 * 1024


@pytest.mark.usefixtures("system")
def test_half_of_what_is_free_is_taken():
    made = make_cache("ram", pictures=3)
    assert isinstance(made, MemoryCache)
    assert made.bound == 500 * 1024


def test_what_a_cache_takes_at_most():
    """9 pictures of 32 x 64 and 64 x 96 px, 3 bytes a pixel, or half of what is free."""
    canvases, whole = [(32, 64), (64, 96)], 9 * 3 * (32 * 64 + 64 * 96)
    assert most_in_memory("ram", pictures=9, canvases=canvases, free=10**9) == whole
    assert most_in_memory("ram", pictures=9, canvases=canvases, free=100_001) == 50_000
    assert most_in_memory("disk", pictures=9, canvases=canvases, free=10**9) == 0
    assert most_in_memory("none", pictures=9, canvases=canvases, free=10**9) == 0


# On disk


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_later_run_finds_them(dataset, tmp_path):
    for expected in (6, 0):
        counting = Counting(make_cache("disk", pictures=6, folder=tmp_path / "kept"))
        loader = Loader(dataset, "letterbox", cache=counting)
        for index in range(6):
            assert_same(loader.read(index, CANVAS), Loader(dataset, "letterbox").read(index, CANVAS))
        assert counting.made == expected
    assert len(files(tmp_path / "kept")) == 6


def test_a_changed_picture_leaves_nothing_behind(dataset, tmp_path):
    loader = Loader(dataset, "letterbox", cache=make_cache("disk", pictures=6, folder=tmp_path / "kept"))
    for _ in range(3):
        loader.read(1, CANVAS)
        rewrite(dataset.path(1))
    assert len(files(tmp_path / "kept")) == 1


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damage_is_noticed_and_mended(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damage")
    cache, key = DiskCache(folder, pictures=1), kept(1)
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    cache.pixels(key, lambda: Pixels(image, (50, 70)))
    (path,) = files(folder)
    path.write_bytes(damaged(data, path.read_bytes()))
    for _ in range(2):
        found = cache.pixels(key, lambda: Pixels(image, (50, 70)))
        np.testing.assert_array_equal(found.image, image)


def test_the_size_as_read_is_protected_too(tmp_path):
    cache = DiskCache(tmp_path, pictures=1)
    cache.pixels(kept(1), lambda: Pixels(np.zeros((5, 7, 3), np.uint8), (51, 70)))
    (path,) = files(tmp_path)
    content = path.read_bytes()
    place = content.index((51).to_bytes(4, "little") + (70).to_bytes(4, "little"))
    path.write_bytes(content[:place] + b"\x34" + content[place + 1 :])
    assert cache.pixels(kept(1), lambda: Pixels(np.zeros((5, 7, 3), np.uint8), (51, 70))).size == (51, 70)


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("usage", "keeps"),
    [
        (Usage(100 * 2**30, 0, 10 * 2**30 + 200), True),
        (Usage(100 * 2**30, 0, 10 * 2**30 + 50), False),  # a tenth stays free
        (Usage(5 * 2**30, 0, 2**30 + 200), True),
        (Usage(5 * 2**30, 0, 2**30 + 50), False),  # a GiB of a small disk
    ],
)
def test_the_disk_is_not_filled(tmp_path, monkeypatch, caplog, usage, keeps):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    cache = DiskCache(tmp_path, pictures=9)
    with caplog.at_level(logging.INFO):
        for number in range(3):
            cache.pixels(kept(number), block)
    assert len(files(tmp_path)) == (3 if keeps else 0)
    assert len(caplog.messages) == (0 if keeps else 1)


def test_a_disk_that_takes_nothing_more_does_not_stop_the_run(tmp_path, monkeypatch, caplog):
    cache = DiskCache(tmp_path, pictures=9)
    cache.pixels(kept(0), block)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "HEAD", namedtuple("Full", "size pack unpack_from")(0, full, full))
    with caplog.at_level(logging.INFO):
        for number in (1, 2):
            assert cache.pixels(kept(number), block).size == (1, 1)
    assert len(files(tmp_path)) == 1  # nor is half a file left
    (message,) = caplog.messages
    assert message.startswith("cache: 1 resized pictures were added on disk (from 9 files); the others are decoded")
    assert message.endswith(".rgb: cannot be written (No space left on device))")


def test_leftovers_of_killed_runs_go(tmp_path):
    (tmp_path / "ab").mkdir()
    old, young = tmp_path / "ab" / ".77-7f00aa.rgb", tmp_path / "ab" / ".78-7f00bb.rgb"
    for path in (old, young):
        path.write_bytes(b"x")
    os.utime(old, (LONG_AGO, LONG_AGO))
    DiskCache(tmp_path, pictures=1)
    assert files(tmp_path) == [young]


def test_where_and_what(tmp_path, monkeypatch):
    assert make_cache("none", pictures=1) is None
    monkeypatch.setenv("YOLO_CACHE", str(tmp_path / "own"))
    made = make_cache("disk", pictures=1)
    assert isinstance(made, DiskCache)
    assert made.folder == tmp_path / "own" / "pictures"
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="pictures cannot be cached there"):
        make_cache("disk", pictures=1, folder=tmp_path / "file")


def test_the_key_of_what_is_not_there(dataset):
    dataset.path(2).unlink()
    assert picture_key(dataset, 2, CANVAS, "letterbox") is None
