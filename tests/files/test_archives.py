"""Archives that are unpacked, and those that are refused before anything is written."""

from __future__ import annotations

import hashlib
import io
import logging
import re
import shutil
import stat
import tarfile
import warnings
import zipfile
from pathlib import Path

import pytest
from http_server import serving
from hypothesis import given
from hypothesis import strategies as st

from yolo.errors import AnnotationError
from yolo.files.archives import install, unpack
from yolo.files.download import Remote

FILES = {"VOCdevkit/VOC2007/a.txt": b"one\n", "VOCdevkit/b.bin": bytes(range(256)), "c": b""}
KINDS = ("tar", "zip")


def write_tar(path, files, *others):
    """``others`` are members that are no plain files."""
    with tarfile.open(path, "w") as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in others:
            tar.addfile(info)
    return path


def write_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in files:
            zipped.writestr(name, content)
    return path


def write_archive(path, files):
    return (write_zip if path.suffix == ".zip" else write_tar)(path, files)


def tree(folder):
    """The files below a folder and what they hold."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(archive, folder):
    """The line with which an archive is refused; nothing has changed in the folder or beside it."""
    before = tree(archive.parent)
    with pytest.raises(AnnotationError) as caught:
        unpack(archive, folder)
    assert tree(archive.parent) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "inside" / "folder"


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_unpacked(tmp_path, folder, kind):
    files = {"./": b"", "VOCdevkit/": b""} if kind == "zip" else {}
    archive = write_archive(tmp_path / f"a.{kind}", [*files.items(), *FILES.items()])
    assert sorted(unpack(archive, folder)) == sorted(FILES)
    assert tree(folder) == FILES


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_there_is_left_alone(tmp_path, folder, kind):
    """After an interrupted call only the missing files are written; a file of another size is not ours."""
    archive = write_archive(tmp_path / f"a.{kind}", FILES.items())
    (folder / "VOCdevkit").mkdir(parents=True)
    (folder / "VOCdevkit" / "b.bin").write_bytes(bytes(256))
    unpack(archive, folder)
    assert tree(folder) == FILES | {"VOCdevkit/b.bin": bytes(256)}
    (folder / "c").write_text("mine")
    (folder / "VOCdevkit" / "b.bin").unlink()
    line = refused(archive, folder)
    assert line == f"{folder / 'c'}: already exists with another size; move or delete it and run again"


OUTSIDE = ["../a", "a/../../b", "/etc/a", "//a", "\\a", "..\\a", "a\\..\\..\\b", "C:/a", "C:a", "c:\\a", ".."]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OUTSIDE)
def test_names_that_lead_out(tmp_path, folder, kind, name):
    archive = write_archive(tmp_path / f"a.{kind}", [("good", b"1"), (name, b"2")])
    assert re.search(r"leads out of|outside the destination", refused(archive, folder))


parts = st.sampled_from(["..", ".", "", "a", "b", "c:", "C:", "~", "$HOME", "\\", "/", "\0", "\n", "ä", "a" * 300])
names = st.lists(st.one_of(parts, st.text(max_size=4)), min_size=1, max_size=6).flatmap(
    lambda each: st.sampled_from(["/", "\\", "//"]).map(lambda separator: separator.join(each))
)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return tmp_path_factory.mktemp("shelf")


@pytest.mark.parametrize("kind", KINDS)
@given(members=st.lists(names, min_size=1, max_size=3))
def test_whatever_the_names_nothing_is_written_outside(shelf, kind, members):
    place = shelf / kind
    shutil.rmtree(place, ignore_errors=True)
    folder = place / "very" / "deep" / "folder"
    folder.mkdir(parents=True)
    archive = place / f"a.{kind}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile's, of a name that occurs twice
        try:
            write_archive(archive, [(name, b"content") for name in members])
        except (ValueError, IndexError):  # a name that cannot be written at all
            return
    before = archive.read_bytes()
    try:
        written = unpack(archive, folder)
    except AnnotationError:
        written = []
    outside = {path for path in place.rglob("*") if not path.is_relative_to(folder)}
    assert outside == {archive, place / "very", place / "very" / "deep"}
    assert archive.read_bytes() == before
    assert tree(folder) == dict.fromkeys(written, b"content")


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "info",
    [
        special("link", tarfile.SYMTYPE, "/etc"),
        special("link", tarfile.SYMTYPE, "../.."),
        special("link", tarfile.SYMTYPE, "good"),  # even one that stays: nothing here needs links
        special("link", tarfile.LNKTYPE, "../../secret"),
        special("link", tarfile.LNKTYPE, "good"),
        special("device", tarfile.CHRTYPE),
        special("device", tarfile.BLKTYPE),
        special("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.type.decode()}-{info.linkname}",
)
def test_links_and_devices_in_a_tar(tmp_path, folder, info):
    (tmp_path / "secret").write_text("secret")
    archive = write_tar(tmp_path / "a.tar", [("good", b"1")], info)
    assert str(archive) in refused(archive, folder)


def test_a_link_in_a_zip(tmp_path, folder):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = write_zip(tmp_path / "a.zip", [("good", b"1"), (info, "/etc")])
    assert refused(archive, folder) == f"{archive}: its member 'link' is not a regular file; nothing was unpacked"


@pytest.mark.parametrize("kind", KINDS)
def test_a_link_of_the_users_own_that_leads_out(tmp_path, folder, kind):
    archive = write_archive(tmp_path / f"a.{kind}", [("good", b"1"), ("linked/below/a", b"2")])
    folder.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    assert re.search(r"a link that leads out of|outside the destination", refused(archive, folder))
    (folder / "linked").unlink()
    (folder / "good").symlink_to(tmp_path / "elsewhere" / "new")
    assert "good" in refused(archive, folder)


def test_the_folder_itself_may_be_a_link(tmp_path):
    archive = write_archive(tmp_path / "a.tar", FILES.items())
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    unpack(archive, tmp_path / "link")
    assert tree(tmp_path / "real") == FILES


@pytest.mark.parametrize("kind", KINDS)
def test_contradictions(tmp_path, folder, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        twice = write_archive(tmp_path / f"a.{kind}", [("a/b", b"1"), ("a/./b", b"2")])
    assert "it holds 'a/./b' twice" in refused(twice, folder)
    both = write_archive(tmp_path / f"b.{kind}", [("a", b"1"), ("a/b", b"2")])
    assert "'a' is a file and a folder in it" in refused(both, folder)


def test_a_bomb(tmp_path, folder):
    archive = write_zip(tmp_path / "a.zip", [("zeros", bytes(60_000_000))])
    assert "more than 50 times as much" in refused(archive, folder)


def test_a_sparse_tar_is_a_bomb_too(tmp_path, folder):
    """A file of 8 TB in 1 kB, as GNU tar writes holes."""
    info = tarfile.TarInfo("holes")
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"100000000000"  # the real size, octal
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    archive = tmp_path / "a.tar"
    archive.write_bytes(bytes(header) + bytes(1024))
    assert "holes" in refused(archive, folder)


def test_too_little_room(tmp_path, folder, monkeypatch):
    archive = write_archive(tmp_path / "a.tar", [("a", bytes(3_000_000))])
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2_000_000))
    assert refused(archive, folder) == f"{folder}: 3.0 MB are needed, 2.0 MB are free"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", [b"", b"nonsense" * 1000])
def test_what_is_no_archive(tmp_path, folder, kind, content):
    archive = tmp_path / f"a.{kind}"
    archive.write_bytes(content)
    assert refused(archive, folder).startswith(f"{archive}: cannot be unpacked (")


def test_a_damaged_member_leaves_no_half_file(tmp_path, folder):
    content = hashlib.sha256().digest() * 1000
    archive = write_zip(tmp_path / "a.zip", [("good", b"1"), ("bad", content)])
    data = bytearray(archive.read_bytes())
    data[data.index(b"bad") + 20] ^= 255
    archive.write_bytes(data)
    with pytest.raises(AnnotationError, match="cannot be unpacked"):
        unpack(archive, folder)
    assert tree(folder) == {"good": b"1"}


def test_an_encrypted_zip(tmp_path, folder):
    archive = write_zip(tmp_path / "a.zip", [("secret", b"1")])
    data = bytearray(archive.read_bytes())
    data[6] |= 1  # the flag in the local header, and in the directory
    data[data.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(data)
    assert "'secret' is not a regular file" in refused(archive, folder)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with serving() as state:
        yield state


@pytest.mark.parametrize("keep", [False, True])
def test_install_once(tmp_path, server, caplog, keep):
    content = write_tar(tmp_path / "a.tar", FILES.items()).read_bytes()
    server.files["a.tar"] = content
    remote = Remote(f"{server.url}/a.tar", len(content), hashlib.sha256(content).hexdigest())
    folder = tmp_path / "out"
    kept = {"a.tar": content} if keep else {}
    listing = {".a.tar.files": "\n".join(FILES).encode()}
    for _ in range(2):
        with caplog.at_level(logging.INFO, "yolo"):
            install(remote, folder, keep=keep)
        assert tree(folder) == FILES | kept | listing
    assert len(server.asked) == 1
    assert caplog.messages[-1] == "a.tar: unpacked already"
    (folder / "VOCdevkit" / "b.bin").unlink()  # what has got lost is mended
    install(remote, folder, keep=keep)
    assert tree(folder) == FILES | kept | listing
    assert len(server.asked) == (1 if keep else 2)


def test_an_archive_that_is_refused_is_not_said_to_be_unpacked(tmp_path, server):
    content = write_tar(tmp_path / "a.tar", [("../../a", b"1")]).read_bytes()
    server.files["a.tar"] = content
    remote = Remote(f"{server.url}/a.tar", len(content), None)
    with pytest.raises(AnnotationError, match=r"leads out of|outside the destination"):
        install(remote, tmp_path / "out", keep=False)
    assert tree(tmp_path / "out") == {"a.tar": content}
    assert not Path(tmp_path.parent / "a").exists()


@pytest.mark.parametrize("name", ["a" * 300, "/".join(["folder"] * 800)])
@pytest.mark.parametrize("kind", KINDS)
def test_names_too_long_for_a_file_system_are_refused_before_anything_is_written(tmp_path, kind, name):
    archive = tmp_path / f"a.{kind}"
    write_archive(archive, [("good", b"content"), (name, b"content")])
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(AnnotationError, match="has too long a name; nothing was unpacked"):
        unpack(archive, folder)
    assert list(folder.iterdir()) == []
