"""Images of a YOLO dataset: those of folders, and those that text files list, as paths in the order of the source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from yolo.datasets.annotations.left_out import LeftOut
from yolo.datasets.annotations.place import walk_names
from yolo.datasets.annotations.repair import LISTED_TWICE, OTHER_SUFFIX, Repairs
from yolo.datasets.annotations.text_files import read_lines
from yolo.errors import AnnotationError
from yolo.files.atomic import exists, is_file
from yolo.files.path_text import join, split, suffix_of
from yolo.files.quoted import quoted
from yolo.images.suffixes import SUFFIXES, UNDECODABLE

VAGUE = frozenset({"images", "labels", "jpegimages", "data", "img", "imgs", "."})
"""Names that a dataset may have in several places: the last part of a path alone proves nothing."""


class PictureList:
    """Images of some splits, each once."""

    def __init__(self, bases: Sequence[Path], *, repairs: Repairs, left_out: LeftOut) -> None:
        """Make an empty list.

        Args:
            bases: folders that listed paths may be relative to, best first.
            repairs: record of images that are listed twice or left out for their suffix.
            left_out: record of listed images that do not exist.
        """
        self.files: dict[str, None] = {}
        self.bases, self.repairs, self.left_out = bases, repairs, left_out

    def add(self, picture: str) -> None:
        if picture in self.files:
            self.repairs.add(LISTED_TWICE, picture)
        self.files[picture] = None

    def add_folder(self, folder: Path) -> int:
        """Add the images of a folder and its subfolders, in the order of their paths; return their number."""
        found: list[str] = []
        with_pictures: list[str] = []
        for place, names in walk_names(str(folder)):
            before, start = len(found), join(place, "")
            for name in names:
                suffix = suffix_of(name)
                if suffix in SUFFIXES:
                    found.append(start + name)
                elif suffix in UNDECODABLE:
                    self.repairs.add(OTHER_SUFFIX, start + name)
            if len(found) > before:
                with_pictures.append(start)
        # Folders are walked in order, but one that has both images and folders gives the images first.
        for picture in found if apart(with_pictures) else sorted(found, key=split):
            self.add(picture)
        return len(found)

    def add_list(self, file: Path) -> int:
        """Add the images that a text file lists; return the number of its lines.

        Raises:
            AnnotationError: it lists images, but none exists.
        """
        lines = read_lines(file)
        found = 0
        finder = ListedFinder([file.parent, *self.bases])
        for number, line in lines:
            picture = finder.find(line)
            if picture is None:
                place = f"{file}:{number}"
                self.left_out.add(place, f"{place}: there is no picture {quoted(line, 200)}; remove the line or add it")
                continue
            found += 1
            self.add(picture)
        if lines and not found:
            number, line = lines[0]
            raise AnnotationError(
                f"{file}:{number}: there is no picture {quoted(line, 200)}, nor any other of its {len(lines)}, "
                f"in {' or '.join(dict.fromkeys(map(str, finder.bases)))}; name their folder (--images DIR)"
            )
        return len(lines)


def apart(folders: Sequence[str]) -> bool:
    """Whether none of some folders, in the order of a walk and with a slash at their ends, lies in another."""
    return not any(after.startswith(before) for before, after in pairwise(folders))


class ListedFinder:
    """Images that a list names; what led to one is tried first for the next."""

    def __init__(self, bases: Sequence[Path]) -> None:
        self.bases = list(dict.fromkeys(bases))
        self.last: tuple[Path, int] | None = None

    def find(self, line: str) -> str | None:
        """Path of a listed image; None: there is none, whatever is cut from the front of its path."""
        for form in dict.fromkeys((line, line.replace("\\", "/"))):
            tails = list(path_tails(form))
            if self.last is not None and self.last[1] < len(tails):
                picture = joined(self.last[0], tails[self.last[1]])
                if is_file(picture):
                    return picture
            for cut, tail in enumerate(tails):
                for base in self.bases:
                    picture = joined(base, tail)
                    if is_file(picture):
                        self.last = base, cut
                        return picture
        return None


def joined(base: Path, tail: str) -> str:
    """Path below a base, without ``./`` and doubled slashes."""
    path = join(str(base), tail)
    return str(Path(path)) if "./" in path or "//" in path else path


def path_tails(path: str) -> Iterator[str]:
    """The path, and what remains when its first parts are cut off one by one: it may be of another machine."""
    yield path
    parts = [part for part in path.split("/") if part not in ("", ".", "..") and not part.endswith(":")]
    for cut in range(0 if path.startswith(("/", "../")) or ":" in path else 1, len(parts)):
        yield "/".join(parts[cut:])


def folder_tails(entry: str) -> Iterator[str]:
    """Ends of a folder's or list's path that are specific enough to be taken for it."""
    return (tail for tail in path_tails(entry.rstrip("/")) if tail.lower() not in VAGUE)


def first_existing(bases: Sequence[Path], entry: str) -> Path | None:
    """First place that exists of an entry, whatever is cut from the front of its path, below the bases."""
    forms = dict.fromkeys((entry, entry.replace("\\", "/")))
    places = (base / tail for form in forms for tail in (form, *folder_tails(form)) for base in bases)
    return next((place for place in places if exists(place)), None)
