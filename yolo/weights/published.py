"""Published Darknet weights by name: downloaded once into the cache folder, verified before each use."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from yolo.errors import ConfigError, WeightsError
from yolo.files.atomic import is_file, write_text
from yolo.files.cache_folder import cache_folder
from yolo.files.download import Remote, download, fetch, file_digest

logger = logging.getLogger(__name__)

HOST = "https://data.pjreddie.com/files"
"""Download folder that Darknet's page, pjreddie.com/darknet/yolo, links to; the older pjreddie.com/media/files is
unreliable."""


@dataclass(frozen=True)
class PublishedWeights:
    """Published file of weights in Darknet's format."""

    url: str
    size: int
    """Bytes: 20 of header and 4 per number of the network's .cfg."""
    sha256: str | None
    """Digest as at least two other projects publish it. None: no published digest is known; then the first download of
    the right size is trusted, and its SHA-256 is stored beside it."""
    model: str
    """Built-in network that the weights belong to."""
    classes: str
    """Name of the list of class names; empty without heads."""
    partial: bool
    """Whether the file holds the backbone only."""


PUBLISHED = {
    "yolov3-coco": PublishedWeights(
        f"{HOST}/yolov3.weights",
        248_007_048,
        "523e4e69e1d015393a1b0a441cef1d9c7659e3eb2d7e15f793f060a21b32f297",
        model="yolov3",
        classes="coco",
        partial=False,
    ),
    "yolov3-spp-coco": PublishedWeights(
        f"{HOST}/yolov3-spp.weights",
        252_209_544,
        "87a1e8c85c763316f34e428f2295e1db9ed4abcec59dd9544f8052f50de327b4",
        model="yolov3-spp",
        classes="coco",
        partial=False,
    ),
    "yolov3-tiny-coco": PublishedWeights(
        f"{HOST}/yolov3-tiny.weights",
        35_434_956,
        "dccea06f59b781ec1234ddf8d1e94b9519a97f4245748a7d4db75d5b7080a42c",
        model="yolov3-tiny",
        classes="coco",
        partial=False,
    ),
    "darknet53-imagenet": PublishedWeights(
        f"{HOST}/darknet53.conv.74",
        162_482_580,
        None,
        model="yolov3",
        classes="",
        partial=True,
    ),
}


def published_file(name: str, *, offline: bool = False, mirror: str | None = None) -> Path:
    """Path of published weights in the cache folder, downloaded on first use.

    A cached file that is broken or altered is deleted and downloaded again; with ``offline`` it is rejected and left
    in place.

    Args:
        name: one of `PUBLISHED`.
        offline: download nothing.
        mirror: URL of another folder that has the file.

    Raises:
        WeightsError: there is no such name, the download failed, or ``offline`` and the file is not usable.
    """
    folder = cache_folder()
    remote = remote_file(name, folder).at(mirror)
    path = folder / remote.name
    if offline and not is_file(path):
        raise WeightsError(f"{name}: not in the cache, and offline; put {remote.url} at {path}")
    fault = remote.fault(path) if is_file(path) else None
    if fault and offline:
        raise WeightsError(f"{path}: not the published file, and offline: {fault}; put {remote.url} there")
    if fault:
        logger.warning("%s: broken or altered: %s; it is deleted and downloaded again", path, fault)
        discard(path)
    if not is_file(path):
        if remote.digest != PUBLISHED[name].sha256:
            logger.warning("%s: has to match its first download; if it may differ, delete %s", path, sidecar(path).name)
        # Not keras.utils.get_file: no timeout, no resume, progress on stdout, and a user agent that this host refuses.
        download(remote, path, error=WeightsError)
    remember(remote, path)
    return path


def fetch_published(name: str, folder: Path, *, mirror: str | None = None) -> Path:
    """Download published weights to a folder of the user's; a different file of the same name there is left alone.

    Raises:
        WeightsError: there is no such name, the download failed, or another file is in its place.
    """
    remote = remote_file(name, folder).at(mirror)
    path = fetch(remote, folder / remote.name, error=WeightsError)
    remember(remote, path)
    return path


def remote_file(name: str, folder: Path) -> Remote:
    """Address, size and digest to download: the published digest, else the one stored in the folder.

    Raises:
        WeightsError: there is no such name.
    """
    if name not in PUBLISHED:
        raise WeightsError(f"{name}: no published weights of that name; there are {', '.join(PUBLISHED)}")
    weights = PUBLISHED[name]
    remote = Remote(weights.url, weights.size, weights.sha256)
    return remote if remote.digest else Remote(remote.url, remote.size, remembered(folder / remote.name))


def sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def remembered(path: Path) -> str | None:
    """SHA-256 that a file had on first use, or None."""
    try:
        found = re.match(r"[0-9a-f]{64}\b", sidecar(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return found[0] if found else None


def remember(remote: Remote, path: Path) -> None:
    """Store the SHA-256 of a file whose digest is not published, in the format of sha256sum."""
    if remote.digest is not None:
        return
    digest = file_digest(path, "0" * 64)
    logger.warning("%s: its SHA-256 is not published; on this first use it is %s", path, digest)
    try:
        write_text(sidecar(path), f"{digest}  {path.name}\n")
    except ConfigError as error:  # a read-only shared cache is usable without it
        logger.warning("%s", error)


def discard(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise WeightsError(f"{path}: broken or altered, and cannot be deleted ({error.strerror})") from error
