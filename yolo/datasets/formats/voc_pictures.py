"""Images of VOC annotations: by the stem of the XML file, as in the development kit; else by the path it names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path, PurePath

from yolo.datasets.annotations.pictures import PictureFinder
from yolo.datasets.annotations.place import Place, walk
from yolo.datasets.formats.voc_folders import PICTURE_FOLDERS, Root
from yolo.datasets.formats.voc_xml import Annotation
from yolo.errors import AnnotationError
from yolo.images.suffixes import SUFFIXES

MASKS = re.compile(r"seg|mask|trimap|depth", re.IGNORECASE)
"""Names of folders whose images are no photographs, but have the names of photographs."""
OTHER_FILES = frozenset({".xml", ".txt", ".json", ".csv", ".yaml"})
"""Suffixes that no picture has, whatever can read it."""


class OwnPictures(PictureFinder):
    """Images below the dataset's folder without masks, and those of the folder beside annotations given alone."""

    @cached_property
    def pictures(self) -> dict[Path, None]:
        return {file: None for file in self.files if file.suffix.lower() in SUFFIXES}

    @cached_property
    def files(self) -> list[Path]:
        """All files below the folders, without those in folders of masks."""
        found: dict[Path, None] = {}
        for folder in filter(Path.is_dir, self.folders):
            files = walk(folder)
            found.update((file, None) for file in files if file.parent == folder or not MASKS.match(file.parent.name))
        return list(found)

    @cached_property
    def unread(self) -> dict[str, Path]:
        """Files by their stems in lower case that may be pictures of a type that is not read."""
        return {file.stem.lower(): file for file in self.files if file.suffix.lower() not in SUFFIXES | OTHER_FILES}


class Found(PictureFinder):
    """Images that are found already, by their paths."""

    def __init__(self, pictures: Iterable[Path]) -> None:
        super().__init__([])
        self.found = {str(file): file for file in pictures}

    def find(self, name: str, *, other_suffixes: bool = True) -> Path | None:  # noqa: ARG002 - all are found
        return self.found[name]


class Matches:
    """Images of annotations: each found once, those of an XML file's own name first."""

    def __init__(self, roots: Sequence[Root], images: Path | None) -> None:
        """Make a search.

        Args:
            roots: folders of annotations.
            images: folder of the images; None: look for them in the dataset's folder.
        """
        self.images = images
        top = roots[0].top
        alone = all(root.annotation_folder == "." and not root.picture_files for root in roots)
        beside = Place(top.absolute().parent).below(*PICTURE_FOLDERS) if alone else []
        self.finders = [OwnPictures([each]) for each in (images, top) if each]
        self.finders += [OwnPictures([each.path]) for each in beside]

    def find(self, roots: Sequence[Root], keys: Sequence[str], annotations: Sequence[Annotation]) -> list[Path | None]:
        """Find the image of each annotation; one that has a file of its own name belongs to no other file."""
        rows = list(zip(roots, keys, annotations, strict=True))
        found = [None if self.images else beside(*row) for row in rows]
        missing = [index for index, file in enumerate(found) if file is None]
        for by_name in (True, False) if missing else ():
            taken = set(found)
            for index in missing:
                _, key, annotation = rows[index]
                names = [key] if by_name else [annotation.source, annotation.filename]
                files = (finder.find(name) for finder in self.finders for name in names if name)
                found[index] = found[index] or next((file for file in files if file and file not in taken), None)
        return found

    def reason(self, key: str, annotation: Annotation) -> str:
        """Reason why an annotation has no image."""
        other = self.other_type(key, annotation)
        if other is not None:
            return f"{annotation.path}: its picture {other.name} is of a type that is not read; convert it to .png"
        return f"{annotation.path}: there is no picture {(last_part(annotation.filename) or key)!r:.200}"

    def other_type(self, key: str, annotation: Annotation) -> Path | None:
        """File that is an annotation's image by its name, but of a type that is not read."""
        names = [PurePath(key).name.lower(), PurePath(last_part(annotation.filename)).stem.lower()]
        unread = [finder.unread for finder in self.finders]
        return next((files[name] for files in unread for name in names if name in files), None)

    def none_found(
        self, roots: Sequence[Root], keys: Sequence[str], annotations: Sequence[Annotation]
    ) -> AnnotationError:
        """Error about annotations none of which has an image: where they lie, and what to do."""
        folder = "this folder" if roots[0].annotation_folder == "." else f"{roots[0].annotation_folder}/"
        lie = f"{roots[0].folder}: {len(keys)} .xml in {folder}"
        other = self.other_type(keys[0], annotations[0])
        if other is not None:
            return AnnotationError(
                f"{lie}, but their pictures are of a type that is not read, such as {other.name}; convert them to .jpg "
                "or .png"
            )
        wanted = last_part(annotations[0].filename) or keys[0]
        return AnnotationError(
            f"{lie}, but no pictures of those names, such as {wanted!r:.200} for {annotations[0].path.name}; put them "
            "into images/ beside it, or name their folder (--images DIR)"
        )


def beside(root: Root, key: str, annotation: Annotation) -> Path | None:
    """The image in the root's folder of images with the XML file's own name."""
    name = last_part(annotation.filename)
    folder, _, stem = key.rpartition("/")
    if name.rpartition(".")[0] == stem:  # rather than another image with this stem
        named = root.pictures.get(f"{folder}/{name}" if folder else name)
        if named is not None:
            return named
    return root.pictures.get(key)


def last_part(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]
