"""Downloads that go on where they broke off, and are verified before they get their name.

An unfinished download is ``NAME.part``.
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
"""Python's own name is refused by some servers: pjreddie.com answers it with 403."""
CHUNK = 1 << 20
TIMEOUT_S = 30.0
ATTEMPTS = 5
NEWS_S = 10.0
ALGORITHMS: dict[int, tuple[str, Callable[[], Any]]] = {
    32: ("MD5", lambda: hashlib.md5(usedforsecurity=False)),
    64: ("SHA-256", hashlib.sha256),
}
"""By the number of a digest's hexadecimal digits."""


class TransferError(Exception):
    """Why a download failed, without its address; `download` turns it into the error that it was given."""


class BrokenOffError(TransferError):
    """The connection ended early: what has arrived is kept, and the rest can be asked for."""


class NoPartsError(TransferError):
    """The server does not send the part that it was asked for; all of it can be asked for."""


class AlteredError(TransferError):
    """What has arrived is not the file; it is deleted."""


@dataclass(frozen=True)
class Remote:
    """A published file: where it lies and how it is recognised."""

    url: str
    size: int
    """Bytes."""
    digest: str | None = None
    """MD5 or SHA-256, in lower-case hexadecimal; None: recognised by its size alone."""

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    def at(self, mirror: str | None) -> Remote:
        """The same file in the folder of another server; None: as it is."""
        return self if mirror is None else replace(self, url=f"{mirror.rstrip('/')}/{self.name}")

    def fault(self, path: Path) -> str | None:
        """What tells a file from this one, as expected and received; None: nothing."""
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
    """The digest of a file, of the kind that ``like`` is of."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, ALGORITHMS[len(like)][1]).hexdigest()


def fetch(remote: Remote, path: Path, *, error: type[YoloError]) -> Path:
    """The file at ``path``, downloaded unless it is there; verified in either case.

    Raises:
        YoloError: of the kind given: the download failed, or another file has that name (it is left alone).
    """
    if not is_file(path):
        return download(remote, path, error=error)
    fault = remote.fault(path)
    if fault:
        raise error(f"{path}: exists, but is not {remote.url}: {fault}; move or delete it")
    return path


def download(remote: Remote, path: Path, *, error: type[YoloError]) -> Path:
    """Download a file; it gets its name only once its size and digest are right.

    What an earlier call left in ``NAME.part`` is gone on with, if there is a digest to judge the result by.

    Raises:
        YoloError: of the kind given; one line with the address, what was expected and what was received.
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
    """Delete what a failed download left, if another call could not go on with it."""
    with suppress(OSError):
        if isinstance(fault, AlteredError) or not resumable or part.stat().st_size == 0:
            part.unlink()


def complete(remote: Remote, part: Path) -> None:
    """Bring an unfinished download to its end and verify it.

    Raises:
        TransferError: that cannot be done.
    """
    with part.open("ab") as file:
        if remote.digest is None or file.tell() > remote.size:
            empty(file)
        check_space(part, remote.size - file.tell())
        logger.info("downloading %s (%s MB)", remote.url, megabytes(remote.size))
        joined = receive_all(remote, file)
        fault = remote.fault(part)
        if fault and joined:  # perhaps of two versions of the file
            logger.warning("%s: put together from several parts, %s; once more from the beginning", remote.url, fault)
            empty(file)
            receive_all(remote, file)
            fault = remote.fault(part)
    if fault:
        raise AlteredError(f"what was received is broken or altered and was deleted: {fault}")


def empty(file: IO[bytes]) -> None:
    file.seek(0)
    file.truncate()


def check_space(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise TransferError(f"{megabytes(needed)} MB are needed in {part.parent}, {megabytes(free)} MB are free")


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f}"


def receive_all(remote: Remote, file: IO[bytes]) -> bool:
    """Receive what a file lacks, in several attempts as long as each brings something.

    Returns:
        Whether the file is put together from more than one answer.
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
    """Receive what a file lacks in one answer; all of it if the server cannot send parts.

    Raises:
        BrokenOffError: the answer ended early.
        NoPartsError: the server cannot go on where the file ends.
        AlteredError: more arrives than the file has.
        TransferError: the server cannot be reached, refuses, or offers something else.
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
    """The server's answer to a request for a file from byte ``held`` on."""
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
    """Whether the server sends the rest that was asked for, rather than all.

    Raises:
        NoPartsError: it sends another part.
        TransferError: the size that it announces is not the file's: often a page that says so, with status 200.
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
    """What arrives, until the answer or the connection ends: its length tells which."""
    with suppress(OSError, HTTPException):
        while chunk := response.read1(CHUNK):
            yield chunk
