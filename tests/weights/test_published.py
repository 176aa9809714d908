"""Published weights by name, from a loopback server in place of the real one."""

from __future__ import annotations

import hashlib
import logging
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from http_server import serving

from yolo.errors import WeightsError
from yolo.files.cache_folder import cache_folder
from yolo.weights import published
from yolo.weights.published import PUBLISHED, fetch_published, published_file

CONTENT = random.Random(1).randbytes(50_000)
OTHER = CONTENT[::-1]
SHA256 = hashlib.sha256(CONTENT).hexdigest()
KNOWN, UNKNOWN = "yolov3-tiny-coco", "darknet53-imagenet"
"""With a hash that is published, and without."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with serving() as state:
        state.files = {"tiny.weights": CONTENT, "darknet.conv": CONTENT}
        yield state


@pytest.fixture(autouse=True)
def cache(server, tmp_path, monkeypatch):
    """An empty cache, and a table whose files are small and on the server."""
    monkeypatch.setenv("YOLO_CACHE", str(tmp_path / "cache"))
    table = {
        KNOWN: replace(PUBLISHED[KNOWN], url=f"{server.url}/tiny.weights", size=len(CONTENT), sha256=SHA256),
        UNKNOWN: replace(PUBLISHED[UNKNOWN], url=f"{server.url}/darknet.conv", size=len(CONTENT)),
    }
    monkeypatch.setattr(published, "PUBLISHED", table)
    return tmp_path / "cache"


def refused(name, **options):
    with pytest.raises(WeightsError) as caught:
        published_file(name, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_table():
    assert {name: (each.model, each.classes, each.partial) for name, each in PUBLISHED.items()} == {
        "yolov3-coco": ("yolov3", "coco", False),
        "yolov3-spp-coco": ("yolov3-spp", "coco", False),
        "yolov3-tiny-coco": ("yolov3-tiny", "coco", False),
        "darknet53-imagenet": ("yolov3", "", True),
    }
    assert all(re.fullmatch("[0-9a-f]{64}", each.sha256) for each in PUBLISHED.values() if each.sha256)
    assert [name for name, each in PUBLISHED.items() if each.sha256 is None] == [UNKNOWN]


def numbers_of(cfg: Path, layers: int | None = None) -> int:
    """How many numbers the convolutions of the first layers of a .cfg have, counted by another way than ours."""
    sections = [dict(re.findall(r"^(\w+)\s*=\s*(.+)$", text, re.M)) for text in cfg.read_text().split("[")[2:]]
    kinds = re.findall(r"^\[(\w+)\]", cfg.read_text(), re.M)[1:]
    total, channels, widths = 0, 3, []
    for kind, section in list(zip(kinds, sections, strict=True))[:layers]:
        if kind == "convolutional":
            filters = int(section["filters"])
            total += filters * (channels * int(section["size"]) ** 2 + (4 if "batch_normalize" in section else 1))
            channels = filters
        elif kind == "route":
            sources = [int(each) for each in section["layers"].split(",")]
            channels = sum(widths[each if each >= 0 else len(widths) + each] for each in sources)
        widths.append(channels)
    return total


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_are_those_of_the_networks(shared, name):
    """A header of 20 bytes, and 4 a number; darknet53.conv.74 is the first 74 layers and the pooling after them."""
    weights = PUBLISHED[name]
    cfg = shared / "data" / "darknet" / f"{weights.model}.cfg"
    assert weights.size == 20 + 4 * numbers_of(cfg, 75 if weights.partial else None)


def test_downloaded_once(server, cache):
    for offline in (False, False, True):
        path = published_file(KNOWN, offline=offline)
        assert path == cache / "tiny.weights"
        assert path.read_bytes() == CONTENT
    assert server.asked == [("tiny.weights", None)]
    assert [each.name for each in cache.iterdir()] == ["tiny.weights"]


def warnings(caplog):
    """Without the news of downloads, which come or not as other tests have set the level."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("altered", [OTHER, CONTENT[:-1], b"", CONTENT + b"1"])
def test_an_altered_file_is_replaced(server, cache, caplog, altered):
    path = published_file(KNOWN)
    path.write_bytes(altered)
    assert published_file(KNOWN).read_bytes() == CONTENT
    assert len(server.asked) == 2
    assert warnings(caplog)[0].startswith(f"{cache / 'tiny.weights'}: broken or altered: it")


def test_an_altered_file_is_refused_offline_and_left_there(server):
    path = published_file(KNOWN)
    path.write_bytes(OTHER)
    received = hashlib.sha256(OTHER).hexdigest()
    assert refused(KNOWN, offline=True) == (
        f"{path}: not the published file, and offline: its SHA-256 is {received}, expected {SHA256}; "
        f"put {server.url}/tiny.weights there"
    )
    assert path.read_bytes() == OTHER
    assert len(server.asked) == 1


def test_offline_with_nothing_there(server, cache):
    line = refused(KNOWN, offline=True)
    assert line == f"{KNOWN}: not in the cache, and offline; put {server.url}/tiny.weights at {cache / 'tiny.weights'}"
    assert server.asked == []
    assert not cache.exists()


def test_a_file_put_there_by_hand_serves_offline(server, cache):
    cache.mkdir()
    (cache / "tiny.weights").write_bytes(CONTENT)
    assert published_file(KNOWN, offline=True) == cache / "tiny.weights"
    assert server.asked == []


def test_an_altered_download_is_deleted_and_named(server, cache):
    server.files["tiny.weights"] = OTHER
    received = hashlib.sha256(OTHER).hexdigest()
    line = refused(KNOWN)
    assert line.startswith(f"{server.url}/tiny.weights: what was received is broken or altered and was deleted: ")
    assert line.endswith(f"its SHA-256 is {received}, expected {SHA256}")
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("name", [KNOWN, UNKNOWN])
def test_a_page_in_its_place(server, cache, name):
    server.files = dict.fromkeys(server.files, b"<html>")
    assert "announces 6 bytes, expected 50000" in refused(name)
    assert list(cache.iterdir()) == []


def test_a_broken_download_gets_no_name_and_is_gone_on_with(server, cache):
    server.stops = [20_000, 0]
    assert "broken off after 20,000 of 50,000 bytes" in refused(KNOWN)
    assert [each.name for each in cache.iterdir()] == ["tiny.weights.part"]
    assert "not in the cache" in refused(KNOWN, offline=True)
    assert published_file(KNOWN).read_bytes() == CONTENT


def test_not_there(server):
    server.files = {}
    assert refused(KNOWN) == f"{server.url}/tiny.weights: the server answers 404 Not Found"


def test_unknown_names(server):
    assert refused("yolov9") == f"yolov9: no published weights of that name; there are {KNOWN}, {UNKNOWN}"
    assert server.asked == []


def test_a_hash_that_nobody_publishes_is_remembered(server, cache, caplog):
    path = published_file(UNKNOWN)
    assert warnings(caplog)[-1] == f"{path}: its SHA-256 is not published; on this first use it is {SHA256}"
    assert (cache / "darknet.conv.sha256").read_text() == f"{SHA256}  darknet.conv\n"
    caplog.clear()
    published_file(UNKNOWN, offline=True)
    assert warnings(caplog) == []
    path.write_bytes(OTHER)
    assert f"its SHA-256 is {hashlib.sha256(OTHER).hexdigest()}, expected {SHA256}" in refused(UNKNOWN, offline=True)
    assert published_file(UNKNOWN).read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_a_remembered_hash_can_be_forgotten(server, cache, caplog):
    published_file(UNKNOWN).unlink()
    server.files["darknet.conv"] = OTHER
    assert "altered and was deleted" in refused(UNKNOWN)
    assert warnings(caplog)[-1].endswith("if it may differ, delete darknet.conv.sha256")
    (cache / "darknet.conv.sha256").unlink()
    assert published_file(UNKNOWN).read_bytes() == OTHER


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"short  darknet.conv\n"])
def test_a_broken_note_counts_as_none(cache, content):
    published_file(UNKNOWN)
    (cache / "darknet.conv.sha256").write_bytes(content)
    published_file(UNKNOWN)
    assert (cache / "darknet.conv.sha256").read_text() == f"{SHA256}  darknet.conv\n"


def test_a_cache_that_may_only_be_read_serves(cache, monkeypatch, caplog):
    cache.mkdir()
    (cache / "darknet.conv").write_bytes(CONTENT)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    assert published_file(UNKNOWN, offline=True) == cache / "darknet.conv"
    assert "cannot be written (Permission denied)" in warnings(caplog)[-1]


def test_a_file_that_cannot_be_deleted(cache):
    (cache / "tiny.weights").mkdir(parents=True)
    assert "cannot be written" in refused(KNOWN)


def test_a_mirror(server, monkeypatch):
    table = {KNOWN: replace(published.PUBLISHED[KNOWN], url="https://weights.invalid/tiny.weights")}
    monkeypatch.setattr(published, "PUBLISHED", table)
    assert published_file(KNOWN, mirror=f"{server.url}/mirror/").read_bytes() == CONTENT


def test_a_file_of_the_users_own_is_left_alone(server, tmp_path):
    path = tmp_path / "tiny.weights"
    assert fetch_published(KNOWN, tmp_path) == path
    path.write_bytes(OTHER)
    with pytest.raises(WeightsError, match=rf"{path}: exists, but is not {server.url}/tiny.weights: its SHA-256"):
        fetch_published(KNOWN, tmp_path)
    assert path.read_bytes() == OTHER


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"YOLO_CACHE": "/a/b", "XDG_CACHE_HOME": "/x"}, "/a/b"),
        ({"YOLO_CACHE": "~/b"}, "/home/me/b"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/yolov3-keras"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/yolov3-keras"),
        ({"YOLO_CACHE": "", "XDG_CACHE_HOME": ""}, "/home/me/.cache/yolov3-keras"),
        ({}, "/home/me/.cache/yolov3-keras"),
    ],
)
def test_where_the_cache_is(monkeypatch, variables, expected):
    for name in ("YOLO_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (variables | {"HOME": "/home/me"}).items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


def test_no_home(monkeypatch):
    monkeypatch.delenv("YOLO_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(WeightsError, match=r"no cache folder: .*YOLO_CACHE"):
        cache_folder()
