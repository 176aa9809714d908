"""Downloads from a server on loopback, with every fault that it can have."""

from __future__ import annotations

import hashlib
import logging
import random
import shutil
import socket
import threading

import pytest
from http_server import serving
from processes import holding

from yolo.errors import AnnotationError, WeightsError
from yolo.files import download as downloads
from yolo.files.download import Remote, download, fetch

CONTENT = random.Random(0).randbytes(300_000)
OTHER = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
MD5 = hashlib.md5(CONTENT).hexdigest()  # noqa: S324
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ALL = ("file.bin", None)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server():
    with serving() as state:
        state.files["file.bin"] = CONTENT
        yield state


@pytest.fixture
def remote(server):
    return Remote(f"{server.url}/some/folder/file.bin", len(CONTENT), SHA256)


def got(remote, path):
    """The content of the file, and that nothing lies beside it."""
    assert download(remote, path, error=WeightsError) == path
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    return path.read_bytes()


def fault(remote, path, error=WeightsError):
    """The one line that a failed download gives; no file has got the name."""
    with pytest.raises(error) as caught:
        download(remote, path, error=error)
    assert not path.exists()
    line = str(caught.value)
    assert line.startswith(f"{remote.url}: ")
    assert "\n" not in line
    return line.removeprefix(f"{remote.url}: ")


@pytest.mark.parametrize("digest", [SHA256, MD5, None])
def test_a_file_arrives(server, tmp_path, digest):
    remote = Remote(f"{server.url}/file.bin", len(CONTENT), digest)
    assert got(remote, tmp_path / "new" / "file.bin") == CONTENT
    assert server.asked == [ALL]
    assert server.agents == ["yolov3-keras"]


def test_a_mirror_is_another_folder():
    remote = Remote("https://a.example/b/c.bin", 1, None)
    assert remote.at(None) == remote
    assert remote.at("http://d.example/e/").url == "http://d.example/e/c.bin"


def test_fetch_downloads_once_and_checks_each_time(server, remote, tmp_path):
    path = tmp_path / "file.bin"
    for _ in range(2):
        assert fetch(remote, path, error=WeightsError).read_bytes() == CONTENT
    assert server.asked == [ALL]
    path.write_bytes(OTHER)
    with pytest.raises(WeightsError, match=rf"{path}: exists, but is not {remote.url}: its SHA-256 is .*{SHA256}"):
        fetch(remote, path, error=WeightsError)
    assert path.read_bytes() == OTHER  # it may be the user's own


def test_a_broken_connection_is_taken_up_again(server, remote, tmp_path):
    server.stops = [100_000, 50_000]
    assert got(remote, tmp_path / "file.bin") == CONTENT
    assert server.asked == [ALL, ("file.bin", "bytes=100000-"), ("file.bin", "bytes=150000-")]


def test_the_next_call_goes_on(server, remote, tmp_path):
    server.stops = [100_000, 0]
    line = fault(remote, tmp_path / "file.bin")
    assert line == "broken off after 100,000 of 300,000 bytes; run it again to go on"
    assert (tmp_path / "file.bin.part").read_bytes() == CONTENT[:100_000]
    assert got(remote, tmp_path / "file.bin") == CONTENT
    assert [wanted for _, wanted in server.asked] == [None, "bytes=100000-", "bytes=100000-"]


def test_attempts_end(server, remote, tmp_path):
    server.stops = [10] * 9
    assert fault(remote, tmp_path / "file.bin").startswith("broken off after 50 of 300,000 bytes")
    assert len(server.asked) == downloads.ATTEMPTS


def test_a_server_without_parts_begins_anew(server, remote, tmp_path):
    server.ranges, server.stops = False, [100_000]
    assert got(remote, tmp_path / "file.bin") == CONTENT
    assert len(server.asked) == 2
    server.stops = [100_000] * 3
    line = fault(remote, tmp_path / "again.bin")  # no nearer to the end with the second
    assert line.startswith("broken off after 100,000 of 300,000 bytes")
    assert len(server.asked) == 4


def test_without_a_digest_nothing_old_is_gone_on_with(server, tmp_path):
    """Nothing would tell that the pieces are of two files."""
    remote, path = Remote(f"{server.url}/file.bin", len(CONTENT), None), tmp_path / "file.bin"
    (tmp_path / "file.bin.part").write_bytes(OTHER[::-1][:1000])
    assert got(remote, path) == CONTENT
    path.unlink()
    server.stops = [100_000, 0]
    assert fault(remote, path) == "broken off after 100,000 of 300,000 bytes; run it again"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("part", "asked"),
    [
        (OTHER[::-1][:1000], ["bytes=1000-", None]),  # of another version of the file: seen at the end
        (CONTENT + b"more", [None]),
        (OTHER, [None]),  # as long, but another
        (CONTENT, []),
        (CONTENT[:1000], ["bytes=1000-"]),
    ],
)
def test_what_an_earlier_call_left(server, remote, tmp_path, part, asked):
    (tmp_path / "file.bin.part").write_bytes(part)
    assert got(remote, tmp_path / "file.bin") == CONTENT
    assert [wanted for _, wanted in server.asked] == asked


def test_a_part_that_begins_elsewhere_is_not_taken(server, remote, tmp_path):
    server.skew = 5
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    assert got(remote, tmp_path / "file.bin") == CONTENT
    assert [wanted for _, wanted in server.asked] == ["bytes=1000-", None]


def test_a_file_that_has_become_shorter(server, remote, tmp_path):
    server.files["file.bin"] = CONTENT[:500]
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    assert fault(remote, tmp_path / "file.bin") == "the server announces 500 bytes, expected 300000: not the file"
    assert list(tmp_path.iterdir()) == []


def test_altered_bytes_are_deleted(server, remote, tmp_path):
    server.files["file.bin"] = OTHER
    received = hashlib.sha256(OTHER).hexdigest()
    assert fault(remote, tmp_path / "file.bin") == (
        f"what was received is broken or altered and was deleted: its SHA-256 is {received}, expected {SHA256}"
    )
    assert list(tmp_path.iterdir()) == []


def test_an_altered_rest_is_asked_for_once_more_and_then_deleted(server, remote, tmp_path):
    server.files["file.bin"] = OTHER
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    assert "altered and was deleted" in fault(remote, tmp_path / "file.bin")
    assert [wanted for _, wanted in server.asked] == ["bytes=1000-", None]
    assert list(tmp_path.iterdir()) == []


def test_another_size_is_refused_before_anything_is_taken(server, remote, tmp_path):
    server.files["file.bin"] = b"<html>moved</html>"
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:10])
    assert fault(remote, tmp_path / "file.bin") == "the server announces 18 bytes, expected 300000: not the file"
    assert (tmp_path / "file.bin.part").read_bytes() == CONTENT[:10]


def test_no_more_is_written_than_expected(server, remote, tmp_path):
    server.chunked, server.files["file.bin"] = True, CONTENT * 40
    assert fault(remote, tmp_path / "file.bin") == "more than the expected 300,000 bytes arrive; they were deleted"
    assert list(tmp_path.iterdir()) == []


def test_without_a_length_the_size_still_tells(server, remote, tmp_path):
    server.chunked = True
    assert got(remote, tmp_path / "file.bin") == CONTENT
    server.files["file.bin"] = CONTENT[:7]
    assert fault(remote, tmp_path / "other.bin").startswith("broken off after 7 of 300,000 bytes")


def test_a_false_length_is_a_broken_connection(server, remote, tmp_path):
    server.files["file.bin"], server.announced, server.ranges = CONTENT[:250_000], 300_000, False
    assert fault(remote, tmp_path / "file.bin").startswith("broken off after 250,000 of 300,000 bytes")


@pytest.mark.parametrize(("status", "text"), [(404, "404 Not Found"), (403, "403 Forbidden"), (503, "503 Service")])
def test_refusals(server, remote, tmp_path, status, text):
    server.status = status
    assert fault(remote, tmp_path / "file.bin", AnnotationError).startswith(f"the server answers {text}")
    assert list(tmp_path.iterdir()) == []


def test_nobody_there(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but not listening
        remote = Remote(f"http://127.0.0.1:{closed.getsockname()[1]}/file.bin", 5, None)
        assert "cannot be reached" in fault(remote, tmp_path / "file.bin")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rubbish", [b"", b"hello\r\n\r\n"])
def test_an_answer_that_is_not_http(tmp_path, rubbish, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT_S", 5.0)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def once():
            with listening.accept()[0] as connection:
                connection.recv(10_000)
                connection.sendall(rubbish)

        thread = threading.Thread(target=once)
        thread.start()
        remote = Remote(f"http://127.0.0.1:{listening.getsockname()[1]}/file.bin", 5, None)
        assert "cannot be reached" in fault(remote, tmp_path / "file.bin")
        thread.join()


def test_silence_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listening:  # the system accepts, nobody answers
        remote = Remote(f"http://127.0.0.1:{listening.getsockname()[1]}/file.bin", 5, None)
        assert fault(remote, tmp_path / "file.bin") == "cannot be reached (timed out)"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "weights", ""])
def test_other_addresses(tmp_path, url):
    assert fault(Remote(url, 5, None), tmp_path / "file.bin") == "not an http or https address"


def test_a_malformed_address(tmp_path):
    assert "cannot be reached" in fault(Remote("http://[oops/x", 5, None), tmp_path / "file.bin")


def test_another_process_is_at_it(server, remote, tmp_path):
    lock = tmp_path / "file.bin.part.lock"
    with holding(lock) as process:
        said = fault(remote, tmp_path / "file.bin")
        assert said.startswith(f"is being downloaded by process {process.pid} on ")
        assert said.endswith("; wait for that one")
    assert server.asked == []
    assert lock.exists()  # it was killed
    assert got(remote, tmp_path / "file.bin") == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]


def test_too_little_space(server, remote, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=200_000))
    assert fault(remote, tmp_path / "file.bin") == f"0.3 MB are needed in {tmp_path}, 0.2 MB are free"
    assert server.asked == []
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:100_000])  # the rest has room
    assert got(remote, tmp_path / "file.bin") == CONTENT


def test_a_folder_that_cannot_be_made(remote, tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "below" / "file.bin"
    with pytest.raises(WeightsError, match=rf"^{path}: cannot be written \(Not a directory\)$"):
        download(remote, path, error=WeightsError)


def test_news_while_it_arrives(remote, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(downloads, "NEWS_S", 0.0)
    with caplog.at_level(logging.INFO, "yolo"):
        got(remote, tmp_path / "file.bin")
    assert caplog.messages[0] == f"downloading {remote.url} (0.3 MB)"
    assert caplog.messages[-1] == "file.bin: 0.3 of 0.3 MB"
