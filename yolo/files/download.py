"""Downloads that resume where they were interrupted, and are verified before they get their final name.

An unfinished download is ``NAME.part``. None of pooch 1.9, keras.utils.get_file and requests does the same: pooch and
Keras start again from byte 0 and delete what has arrived, requests leaves ranges, verification and retries to us.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from yolo.errors import YoloError
from yolo.files.atomic import is_file
from yolo.files.locks import BusyError, locked_file

logger = logging.getLogger(__name__)

AGENT = "yolov3-keras"
"""User agent; some servers refuse Python's own: pjreddie.com answers it with 403."""
CHUNK = 1 << 20
TIMEOUT_S = 30.0
ATTEMPTS = 5
NEWS_S = 10.0
ALGORITHMS: dict[int, tuple[str, Callable[[], Any]]] = {
    32: ("MD5", lambda: hashlib.md5(usedforsecurity=False)),
    64: ("SHA-256", hashlib.sha256),
}
"""Name and constructor of each hash algorithm, by the number of hexadecimal digits of a digest."""


class TransferError(Exception):
    """Failure of a transfer; the message lacks the address, which `download` adds in an error of its caller's class."""


class BrokenOffError(TransferError):
    """Connection lost early: the part received is kept, and the rest can be requested."""


class NoPartsError(TransferError):
    """Range refused by the server, or another range sent; the whole file can be requested."""


class AlteredError(TransferError):
    """Content received that is not the expected file; it is deleted."""


@dataclass(frozen=True)
class Remote:
    """Published file: its address, size and digest."""

    url: str
    size: int
    """Size in bytes."""
    digest: str | None = None
    """MD5 or SHA-256, in lower-case hexadecimal; None: verified by its size alone."""

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    def at(self, mirror: str | None) -> Remote:
        """Return the same file in the folder of another server; unchanged if ``mirror`` is None."""
        return self if mirror is None else replace(self, url=f"{mirror.rstrip('/')}/{self.name}")

    def fault(self, path: Path) -> str | None:
        """Describe how a file on disk differs from this one, as expected and received; None if it is the same."""
        try:
            size = path.stat().st_size
            if size != self.size:
                return f"it has {size:,} bytes, expected {self.size:,}"
            if self.digest is None:
                return None
            received = file_digest(path, self.digest)
        except OSError as error:
            return f"it cannot be read ({error.strerror})"
        kind = ALGORITHMS[len(self.digest)][0]
        return None if received == self.digest else f"its {kind} is {received}, expected {self.digest}"


def file_digest(path: Path, like: str) -> str:
    """Compute the digest of a file by the algorithm that the digest ``like`` was made with."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, ALGORITHMS[len(like)][1]).hexdigest()


def fetch(remote: Remote, path: Path, *, error: type[YoloError]) -> Path:
    """Download a file to ``path`` unless it exists; its size and digest are verified in either case.

    Raises:
        YoloError: of the class ``error``: the download failed, or another file has that name (it is left alone).
    """
    if not is_file(path):
        return download(remote, path, error=error)
    fault = remote.fault(path)
    if fault:
        raise error(f"{path}: exists, but is not {remote.url}: {fault}; move or delete it")
    return path


def download(remote: Remote, path: Path, *, error: type[YoloError]) -> Path:
    """Download a file, which gets its final name only once its size and digest are verified.

    A part that an earlier call left in ``NAME.part`` is resumed, if there is a digest to verify the result.

    Raises:
        YoloError: of the class ``error``; one line with the address, what was expected and what was received.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked_file(part.with_name(f"{part.name}.lock")):
            receive_into(remote, part)
            part.replace(path)
    except BusyError as fault:
        raise error(f"{remote.url}: is being downloaded by {fault}; wait for that one") from fault
    except TransferError as fault:
        raise error(f"{remote.url}: {fault}") from fault
    except OSError as fault:
        raise error(f"{path}: cannot be written ({fault.strerror or fault})") from fault
    return path


def receive_into(remote: Remote, part: Path) -> None:
    """Complete an unfinished download; when that fails, delete what another call could not go on with.

    Raises:
        TransferError: it fails.
    """
    try:
        complete(remote, part)
    except TransferError as fault:
        tidy(part, fault, resumable=remote.digest is not None)
        raise


def tidy(part: Path, fault: TransferError, *, resumable: bool) -> None:
    """Delete the part that a failed download left, if a later call could not resume it."""
    with suppress(OSError):
        if isinstance(fault, AlteredError) or not resumable or part.stat().st_size == 0:
            part.unlink()


def complete(remote: Remote, part: Path) -> None:
    """Receive the rest of an unfinished download and verify the whole.

    Raises:
        TransferError: the transfer or the verification failed.
    """
    with part.open("ab") as file:
        if remote.digest is None or file.tell() > remote.size:
            empty(file)
        check_space(part, remote.size - file.tell())
        logger.info("downloading %s (%s MB)", remote.url, megabytes(remote.size))
        joined = receive_all(remote, file)
        fault = remote.fault(part)
        if fault and joined:  # the parts may come from two versions of the file
            logger.warning("%s: put together from several parts, %s; once more from the beginning", remote.url, fault)
            empty(file)
            receive_all(remote, file)
            fault = remote.fault(part)
    if fault:
        raise AlteredError(f"what was received is broken or altered and was deleted: {fault}")


def empty(file: IO[bytes]) -> None:
    """Truncate an open file to 0 bytes."""
    file.seek(0)
    file.truncate()


def check_space(part: Path, needed: int) -> None:
    """Raise a TransferError unless the disk has room for some more bytes."""
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise TransferError(f"{megabytes(needed)} MB are needed in {part.parent}, {megabytes(free)} MB are free")


def megabytes(count: int) -> str:
    """Format a number of bytes in MB."""
    return f"{count / 1e6:,.1f}"


def receive_all(remote: Remote, file: IO[bytes]) -> bool:
    """Receive the rest of a file, in up to `ATTEMPTS` attempts as long as each makes progress.

    Returns:
        Whether the file was put together from more than one response.
    """
    joined = file.tell() > 0
    for attempt in range(1, ATTEMPTS + 1):
        before = file.tell()
        try:
            receive(remote, file)
        except NoPartsError:
            empty(file)
        except BrokenOffError as fault:
            if attempt == ATTEMPTS or file.tell() <= before:
                raise
            logger.warning("%s: %s", remote.url, fault)
            joined = True
        else:
            break
    file.flush()
    return joined


def receive(remote: Remote, file: IO[bytes]) -> None:
    """Receive the rest of a file in one response; the whole file if the server does not support ranges.

    Raises:
        BrokenOffError: the response ended early.
        NoPartsError: the server cannot continue where the file ends.
        AlteredError: more bytes arrive than the file has.
        TransferError: the server cannot be reached, refuses, or offers another file.
    """
    held = file.tell()
    if held == remote.size:
        return
    with answer(remote, held) as response:
        if not check_offer(remote, response, held):
            empty(file)
        news = time.monotonic() + NEWS_S
        for chunk in chunks(response):
            if file.tell() + len(chunk) > remote.size:
                raise AlteredError(f"more than the expected {remote.size:,} bytes arrive; they were deleted")
            file.write(chunk)
            if time.monotonic() >= news:
                logger.info("%s: %s of %s MB", remote.name, megabytes(file.tell()), megabytes(remote.size))
                news = time.monotonic() + NEWS_S
    if file.tell() < remote.size:
        remedy = "run it again to go on" if remote.digest else "run it again"
        raise BrokenOffError(f"broken off after {file.tell():,} of {remote.size:,} bytes; {remedy}")


@contextmanager
def answer(remote: Remote, held: int) -> Iterator[Any]:
    """Open the server's response to a request for a file from byte ``held`` on."""
    if not remote.url.startswith(("http://", "https://")):
        raise TransferError("not an http or https address")
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    if held:
        headers["Range"] = f"bytes={held}-"
    try:
        response = urlopen(Request(remote.url, headers=headers), timeout=TIMEOUT_S)  # noqa: S310 - checked above
    except HTTPError as error:
        error.close()
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and held:
            raise NoPartsError(f"the server has nothing from byte {held:,} on") from error
        raise TransferError(f"the server answers {error.code} {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise TransferError(f"cannot be reached ({' '.join(str(reason).split())})") from error
    with response:
        yield response


def check_offer(remote: Remote, response: Any, held: int) -> bool:
    """Whether the server sends the requested rest rather than the whole file.

    Raises:
        NoPartsError: it sends another range.
        TransferError: it announces another size than the file's: often an error page with status 200.
    """
    partial = response.status == HTTPStatus.PARTIAL_CONTENT
    if partial:
        said = response.headers.get("Content-Range", "")
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", said)
        if found is None or int(found[1]) != held:
            raise NoPartsError(f"the server sends {said!r:.60}, expected bytes {held}-{remote.size - 1}/{remote.size}")
        announced = found[2]
    else:
        announced = response.headers.get("Content-Length", str(remote.size))
    if announced != str(remote.size):
        raise TransferError(f"the server announces {announced:.20} bytes, expected {remote.size}: not the file")
    return partial


def chunks(response: Any) -> Iterator[bytes]:
    """Yield the content as it arrives; a lost connection ends it early, which shows in its length."""
    with suppress(OSError, HTTPException):
        while chunk := response.read1(CHUNK):
            yield chunk
