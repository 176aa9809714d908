"""The one reader of the user's files: limits, encodings, and what is no regular file."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from yolo.anchors import read_anchors
from yolo.darknet.cfg import read_cfg
from yolo.darknet.names import read_names
from yolo.darknet.weights import read_header
from yolo.datasets.annotations.text_files import read_lines
from yolo.datasets.formats.coco import read_coco
from yolo.datasets.formats.data_yaml import read_description
from yolo.datasets.formats.voc_xml import read_annotation
from yolo.errors import AnnotationError, ConfigError, MediaError, WeightsError, YoloError
from yolo.evaluation.results import _read_list
from yolo.files.bounded import open_file, read_bytes, read_text
from yolo.files.remote import named_faults, read_range
from yolo.images.codec import image_size, read_image
from yolo.training.run.checkpoint import read as read_checkpoint
from yolo.training.search.space import read_space


def test_a_file_of_the_limit_is_read_and_no_byte_more(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_bytes(path, limit=5) == b"12345"
    with pytest.raises(ConfigError) as caught:
        read_bytes(path, limit=4, what="a list")
    assert str(caught.value) == f"{path}: 5 bytes; a list may have 4 bytes at most"
    with path.open("wb") as file:
        file.truncate(2**40)  # sparse
    with pytest.raises(MediaError, match="1,048,576 MiB; a picture may have 3 MiB at most"):
        read_bytes(path, limit=3 * 2**20, error=MediaError, what="a picture")


def test_a_file_that_grows_while_it_is_read_is_read_to_the_limit(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"12345" * 10)
    short = os.stat_result((0o100600, *[0] * 9))
    monkeypatch.setattr(os, "fstat", lambda _: short)
    assert read_bytes(path, limit=50) == b"12345" * 10
    with pytest.raises(ConfigError, match="50 bytes; such a file may have 20 bytes at most"):
        read_bytes(path, limit=20)


def test_text_is_utf_8_with_or_without_a_mark(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfB\xc3\xa4r\r\n")
    assert read_text(path, limit=100) == "Bär\r\n"
    path.write_bytes(b"one\ntwo\nB\xe4r\n")
    with pytest.raises(AnnotationError) as caught:
        read_text(path, limit=100, error=AnnotationError)
    assert str(caught.value) == f"{path}:3: not a text file in UTF-8; save it as UTF-8"


def test_names_that_no_file_has(tmp_path):
    for name in ("none", "nul\0", "a" * 5000):
        with pytest.raises(OSError, match=r"No such file|null byte|too long"):
            open_file(tmp_path / name)
        with pytest.raises(ConfigError, match="cannot be read"):
            read_bytes(f"{tmp_path}/{name}", limit=5)


def test_a_link_to_a_file_is_the_file(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").symlink_to("a")
    assert read_bytes(tmp_path / "b", limit=5) == b"1"


# What is no file

READERS = {
    "anchors": read_anchors,
    "cfg": read_cfg,
    "names": read_names,
    "weights": read_header,
    "coco": read_coco,
    "results": _read_list,
    "description": read_description,
    "lines": read_lines,
    "xml": read_annotation,
    "picture": read_image,
    "picture's size": image_size,
    "checkpoint": read_checkpoint,
    "space": lambda path: read_space(path, None),
}


def no_file(folder: Path, kind: str) -> tuple[Path, str]:
    path = folder / "a"
    if kind == "pipe":
        os.mkfifo(path)
        return path, "is a named pipe, not a file"
    if kind == "socket":
        os.chdir(folder)  # a socket's address is short
        socket.socket(socket.AF_UNIX).bind("a")
        return path, "is a socket, not a file"
    if kind == "folder":
        path.mkdir()
        return path, "is a folder, not a file"
    return Path("/dev/zero"), "is a device, not a file"


@pytest.mark.skipif(os.name == "nt", reason="pipes and devices of Unix")
@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "device"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_is_no_file_is_named_by_every_reader_and_never_waited_for(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, reason = no_file(tmp_path, kind)
    for name, read in READERS.items():
        with pytest.raises(YoloError) as caught:
            read(path)
        assert str(path) in str(caught.value), name
        assert reason in str(caught.value), name
    with pytest.raises(MediaError, match=reason), named_faults(str(path), MediaError):
        read_range(str(path), 0, 10)


@pytest.mark.skipif(os.name == "nt", reason="pipes of Unix")
def test_a_file_that_becomes_a_pipe_is_not_waited_for(tmp_path, monkeypatch):
    """Between the look at it and its opening."""
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    seen = (tmp_path / "file").stat()
    monkeypatch.setattr(os, "stat", lambda _: seen)
    with pytest.raises(WeightsError, match="is a named pipe, not a file"):
        read_bytes(tmp_path / "pipe", limit=5, error=WeightsError)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), -1))
from pathlib import Path
from yolo.errors import YoloError
from yolo.files.bounded import read_bytes
try:
    read_bytes(sys.argv[2], limit=1000)
except YoloError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_a_file_of_a_terabyte_takes_no_memory(tmp_path):
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(2**40)
    command = [sys.executable, "-c", LIMITED, str(200 * 2**20), str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == f"{path}: 1,048,576 MiB; such a file may have 1,000 bytes at most\n"
