"""Dataset archives (zip, tar): downloaded, checked and unpacked; no member is written outside the folder.

The standard library's tar filter "data" is applied as well, but has no counterpart for zip, strips the slash of
absolute paths instead of refusing them, and checks each member as it is unpacked; here all are checked first.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from yolo.errors import AnnotationError
from yolo.files.atomic import is_file, write_text, write_whole
from yolo.files.download import CHUNK, Remote, fetch, megabytes

logger = logging.getLogger(__name__)

LARGEST_RATIO = 50
"""Limit of the ratio of unpacked to packed size; COCO's annotations, the most compressible we fetch, are below 10."""
LONGEST_NAME = 200
"""Limit of a name in bytes: file systems allow 255, and a temporary name may be a little longer."""
LONGEST_PATH = 4000
SMALL = 1_000_000
"""Size in bytes that a smaller archive counts as, in the ratio."""


@dataclass(frozen=True)
class Member:
    """Entry of an archive."""

    name: str
    size: int
    """Unpacked, in bytes."""
    plain: bool
    """Whether it is a regular file or folder, not a link, device or the like."""
    folder: bool
    open: Callable[[], IO[bytes] | None]


def install(remote: Remote, folder: Path, *, keep: bool) -> None:
    """Download an archive into a folder and unpack it there, unless both were done before.

    Args:
        remote: a ``.zip`` or ``.tar`` file.
        folder: destination; ``.NAME.files`` in it lists the unpacked files.
        keep: keep the archive after unpacking instead of deleting it.

    Raises:
        AnnotationError: the download failed, or the archive was refused.
    """
    listing = folder / f".{remote.name}.files"
    if is_file(listing) and all(is_file(folder / name) for name in listing.read_text(encoding="utf-8").splitlines()):
        logger.info("%s: unpacked already", remote.name)
        return
    archive = fetch(remote, folder / remote.name, error=AnnotationError)
    logger.info("unpacking %s", archive)
    write_text(listing, "\n".join(unpack(archive, folder)))
    if not keep:
        archive.unlink()


def unpack(archive: Path, folder: Path) -> list[str]:
    """Unpack a ``.zip`` file, or else an uncompressed tar, into a folder.

    All members are checked before any is written. An existing file of the member's size is skipped, so that an
    interrupted call can be repeated; one of another size is an error.

    Returns:
        Paths of the files, relative to the folder.

    Raises:
        AnnotationError: a member leads out of the folder or is not a regular file, the disk has too little space,
            or the archive cannot be read.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with members_of(archive, folder) as members:
            files = plan(archive, members, folder.resolve())
            for target, member in files.items():
                if not target.exists():
                    write_member(member, target)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as fault:
        raise AnnotationError(f"{archive}: cannot be unpacked ({fault}); delete it and download it again") from fault
    except OSError as fault:
        raise AnnotationError(f"{fault.filename or archive}: cannot be unpacked ({fault.strerror or fault})") from fault
    return [target.relative_to(folder.resolve()).as_posix() for target in files]


@contextmanager
def members_of(archive: Path, folder: Path) -> Iterator[list[Member]]:
    """Open an archive and yield its members."""
    if archive.suffix.lower() == ".zip":
        with zipfile.ZipFile(archive) as zipped:
            yield [zip_member(zipped, info) for info in zipped.infolist()]
    else:
        with tarfile.open(archive, "r:") as tar:
            yield [tar_member(tar, info, folder) for info in tar]


def zip_member(zipped: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    """Describe a member of a zip file; encrypted and unusually compressed ones count as not plain."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    usual = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) and not info.flag_bits & 1  # encrypted
    plain = usual and kind in (0, stat.S_IFREG, stat.S_IFDIR)
    return Member(info.filename, info.file_size, plain, info.is_dir(), lambda: zipped.open(info))


def tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo, folder: Path) -> Member:
    """Describe a member of a tar file.

    Raises:
        AnnotationError: the standard library's filter "data" refuses it.
    """
    if hasattr(tarfile, "data_filter"):  # from Python 3.11.4 on
        try:
            tarfile.data_filter(info, str(folder))
        except (tarfile.FilterError, ValueError) as fault:  # ValueError: an impossible file name
            raise AnnotationError(f"{tar.name!s}: {info.name!r:.80}: {fault}; nothing was unpacked") from fault
    plain = (info.isreg() and not info.issparse()) or info.isdir()
    return Member(info.name, info.size, plain, info.isdir(), lambda: tar.extractfile(info))


def plan(archive: Path, members: Iterable[Member], root: Path) -> Mapping[Path, Member]:
    """Map the target path of each file to its member, checking all of them; ``root`` is a resolved path.

    Raises:
        AnnotationError: a member is refused.
    """
    files: dict[Path, Member] = {}
    for member in members:
        target = place(archive, member, root)
        if target in files and not member.folder:
            raise AnnotationError(f"{archive}: it holds {member.name!r:.80} twice; nothing was unpacked")
        if not member.folder:
            files[target] = member
    check_folders(archive, files, root)
    for target, member in files.items():
        check_existing(target, member)
    check_room(archive, files, root)
    return files


def place(archive: Path, member: Member, root: Path) -> Path:
    """Target path of a member.

    Raises:
        AnnotationError: the path is not below ``root``, or the member is neither a regular file nor a folder.
    """
    parts = [part for part in re.split(r"[/\\]", member.name) if part not in ("", ".")]
    if member.name[:1] in ("/", "\\") or ".." in parts or re.match("[A-Za-z]:", "".join(parts[:1])):
        raise AnnotationError(f"{archive}: its member {member.name!r:.80} leads out of {root}; nothing was unpacked")
    if not member.plain or not member.name.isprintable() or not (parts or member.folder):
        raise AnnotationError(f"{archive}: its member {member.name!r:.80} is not a regular file; nothing was unpacked")
    target = root.joinpath(*parts)
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in parts) or len(os.fsencode(target)) > LONGEST_PATH:
        raise AnnotationError(f"{archive}: its member {member.name!r:.80} has too long a name; nothing was unpacked")
    return target


def check_folders(archive: Path, files: Mapping[Path, Member], root: Path) -> None:
    """Check that the folders of all files are below ``root``, also by existing links, and are not files too.

    Raises:
        AnnotationError: a folder is not.
    """
    folders = {parent for target in files for parent in target.parents if parent.is_relative_to(root)}
    for folder in sorted(folders):
        if folder in files:
            raise AnnotationError(f"{archive}: {folder.name!r:.80} is a file and a folder in it; nothing was unpacked")
        if not folder.resolve().is_relative_to(root):
            raise AnnotationError(f"{folder}: a link that leads out of {root}; nothing was unpacked")


def check_existing(target: Path, member: Member) -> None:
    """Raise an AnnotationError if a target exists and is not a regular file of the member's size."""
    if target.is_symlink() or (target.exists() and not (target.is_file() and target.stat().st_size == member.size)):
        raise AnnotationError(f"{target}: already exists with another size; move or delete it and run again")


def check_room(archive: Path, files: Mapping[Path, Member], root: Path) -> None:
    """Raise an AnnotationError if an archive unpacks to implausibly much, or to more than the disk has room for."""
    packed, unpacked = archive.stat().st_size, sum(member.size for member in files.values())
    if unpacked > LARGEST_RATIO * max(packed, SMALL):
        raise AnnotationError(
            f"{archive}: {megabytes(packed)} MB would become {megabytes(unpacked)} MB, more than "
            f"{LARGEST_RATIO} times as much; nothing was unpacked"
        )
    needed = sum(member.size for target, member in files.items() if not target.exists())
    free = shutil.disk_usage(root).free
    if needed > free:
        raise AnnotationError(f"{root}: {megabytes(needed)} MB are needed, {megabytes(free)} MB are free")


def write_member(member: Member, target: Path) -> None:
    """Unpack one file, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)

    def copy(temporary: Path) -> None:
        source = member.open()
        if source is None:
            raise ValueError(f"expected a plain file, got {member}")
        with source, temporary.open("wb") as sink:
            shutil.copyfileobj(source, sink, CHUNK)

    write_whole(target, copy, error=AnnotationError)
