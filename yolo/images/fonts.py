"""Fonts for text in any script: DejaVu, and the system's fonts for the characters that it lacks."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

logger = logging.getLogger(__name__)

Colour = tuple[int, int, int]

STRIKES = (109, 160, 136, 128, 96)
"""Sizes in pixels of bitmap colour fonts, each of which has only one: Noto 109, Apple 160."""
PACKAGES = {
    "CJK": "fonts-noto-cjk",
    "HIRAGANA": "fonts-noto-cjk",
    "KATAKANA": "fonts-noto-cjk",
    "HANGUL": "fonts-noto-cjk",
    "emoji": "fonts-noto-color-emoji",
}
"""Debian package of a font by the first word of a character's Unicode name."""
OTHER_PACKAGE = "fonts-noto-core"
JOINERS = {"\u200c", "\u200d", *map(chr, range(0xFE00, 0xFE10)), *map(chr, range(0x1F3FB, 0x1F400))}
"""Joiners, variation selectors and skin tones: they change the character before them and stay in its font."""
OTHER_STYLES = re.compile(r"bold|italic|oblique|light|thin|black|heavy|condensed|mono|serif", re.IGNORECASE)
"""Words in a font file's name that mean another style than plain without serifs."""


class Face(NamedTuple):
    """Font in a file; collections (``.ttc``) contain several."""

    path: str
    number: int = 0


class Run(NamedTuple):
    """Part of a text in one font, with the font's scale."""

    text: str
    font: ImageFont.FreeTypeFont
    scale: float

    @property
    def length(self) -> float:
        return self.font.getlength(self.text) * self.scale


class Lettering:
    """Fonts for labels in one size: a primary one, and the system's fonts for the characters that it lacks.

    Args:
        size: height of the letters in pixels.
    """

    def __init__(self, size: int):
        self.size = size
        self.primary = _load_primary(size)

    def runs(self, text: str) -> list[Run]:
        """Split the text into parts, each with a font that has its characters."""
        return [Run(part, *self._load(face)) for part, face in split_by_face(text)]

    def _load(self, face: Face | None) -> tuple[ImageFont.FreeTypeFont, float]:
        return (self.primary, 1.0) if face is None else load_face(face, self.size)

    def metrics(self, text: str) -> tuple[int, int]:
        """Largest (ascent, descent) in pixels of the fonts that the text needs."""
        found = [self.primary.getmetrics()]
        found += [
            (round(ascent * run.scale), round(descent * run.scale))
            for run in self.runs(text)
            if run.font is not self.primary
            for ascent, descent in [run.font.getmetrics()]
        ]
        return max(ascent for ascent, _ in found), max(descent for _, descent in found)

    def getlength(self, text: str) -> float:
        """Width of a text in pixels."""
        return sum(run.length for run in self.runs(text))

    def draw(self, draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, colour: Colour) -> None:
        """Draw a text on an image; ``place`` is the left end of its baseline."""
        left, baseline = place
        for run in self.runs(text):
            if run.scale == 1:
                draw.text((left, baseline), run.text, colour, run.font, anchor="ls", embedded_color=True)
            else:
                _draw_scaled(draw, (left, baseline), run, colour)
            left += run.length


def _draw_scaled(draw: ImageDraw.ImageDraw, place: tuple[float, float], run: Run, colour: Colour) -> None:
    """Draw a run in a font that exists only in another size."""
    ascent, descent = run.font.getmetrics()
    whole = Image.new("RGBA", (max(1, round(run.font.getlength(run.text))), ascent + descent))
    ImageDraw.Draw(whole).text((0, ascent), run.text, colour, run.font, anchor="ls", embedded_color=True)
    small = whole.resize([max(1, round(side * run.scale)) for side in whole.size], Image.Resampling.BOX)
    corner = (round(place[0]), round(place[1] - ascent * run.scale))
    draw._image.paste(small, corner, small)


def split_by_face(text: str) -> Iterator[tuple[str, Face | None]]:
    """Split a text into runs with their fonts; None: the primary one.

    Marks, joiners and spaces use the font of the preceding character if it has them, as scripts such as Devanagari are
    shaped across them.
    """
    part, current = "", None
    for letter in text:
        face = current if part and _stays(letter, current) else face_of(letter)
        if part and face != current:
            yield part, current
            part = ""
        part, current = part + letter, face
    if part:
        yield part, current


def _stays(letter: str, face: Face | None) -> bool:
    if letter in JOINERS or unicodedata.combining(letter) or unicodedata.category(letter) in ("Mn", "Mc"):
        return True
    return face is not None and letter == " " and covers(face, letter)


def face_of(letter: str) -> Face | None:
    """Font for a character; None, the primary one, if that has it or no font does."""
    if covers(primary_face(), letter):
        return None
    return fallback_face(letter)


def missing(text: str) -> list[str]:
    """Characters of a text that no font has."""
    return [
        letter
        for letter in dict.fromkeys(text)
        if letter not in JOINERS
        and not letter.isspace()
        and not covers(primary_face(), letter)
        and fallback_face(letter) is None
    ]


def package_for(letter: str) -> str:
    """Debian package of a font that has a character."""
    script = "emoji" if unicodedata.category(letter) == "So" else unicodedata.name(letter, "").split(" ")[0]
    return PACKAGES.get(script.split("-")[0], OTHER_PACKAGE)


@lru_cache(maxsize=4096)
def fallback_face(letter: str) -> Face | None:
    """First system font that has a character; None if there is none."""
    return next((face for face in candidates(letter) if covers(face, letter)), None)


def candidates(letter: str) -> Sequence[Face]:
    """System fonts that may have a character, those without serifs and in plain style first.

    Fontconfig lists those that have it; without fontconfig, all are tried.
    """
    program = shutil.which("fc-list")
    if program is None:
        return system_faces()
    query = [program, f":charset={ord(letter):x}", "--format", "%{file}\\t%{index}\\n"]
    listed = subprocess.run(query, capture_output=True, check=False).stdout.decode(errors="surrogateescape")
    rows = (line.split("\t") for line in listed.splitlines() if "\t" in line)
    # The bits above the 16th number the instance of a variable font.
    return in_order(Face(path, int(index) & 0xFFFF) for path, index in rows if index.isdecimal())


def in_order(faces: Iterable[Face]) -> tuple[Face, ...]:
    """Sort faces and drop duplicates: fewest words of another style in the file's name first, then by name."""
    return tuple(sorted(set(faces), key=lambda face: (len(OTHER_STYLES.findall(Path(face.path).stem)), face)))


def covers(face: Face, letter: str) -> bool:
    """Whether a font has a character."""
    return ord(letter) in coverage(face)


@cache
def coverage(face: Face) -> frozenset[int]:
    """Code points in a font's cmap table; empty if the file cannot be read."""
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

    if not face.path:
        return frozenset(range(32, 127))  # Pillow's own font
    try:
        with Path(face.path).open("rb") as file, TTFont(file, fontNumber=face.number, lazy=True) as font:
            return frozenset(font.getBestCmap() or ())
    except Exception:
        return frozenset()


@lru_cache(maxsize=1)
def system_faces() -> tuple[Face, ...]:
    """All fonts installed on the system."""
    from matplotlib.font_manager import findSystemFonts

    return in_order(map(Face, findSystemFonts()))


@lru_cache(maxsize=1)
def primary_face() -> Face:
    """DejaVu Sans, which comes with matplotlib; without it Pillow's own font, whose path is empty."""
    matplotlib = find_spec("matplotlib")
    if matplotlib and matplotlib.origin:
        path = Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if path.is_file():
            return Face(str(path))
    return Face("")


@lru_cache(maxsize=64)
def _load_primary(size: int) -> ImageFont.FreeTypeFont:
    path = primary_face().path
    font = ImageFont.truetype(path, size) if path else ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise ValueError("expected a Pillow that is built with FreeType")
    return font


@lru_cache(maxsize=256)
def load_face(face: Face, size: int) -> tuple[ImageFont.FreeTypeFont, float]:
    """Load a font in a size, with the factor to scale it by: bitmap colour fonts have only one size."""
    for strike in (size, *STRIKES):
        try:
            return ImageFont.truetype(face.path, strike, face.number), size / strike
        except OSError:  # "invalid pixel size"
            continue
    return _load_primary(size), 1.0


_reported: set[str] = set()


def drawable(name: str, number: int) -> str:
    """Class name as it can be drawn: itself, or ``#`` and the class's number if no font has its characters.

    The font to install is logged once per name.
    """
    lacking = missing(name)
    if not lacking:
        return name
    if name not in _reported:
        _reported.add(name)
        packages = ", ".join(dict.fromkeys(map(package_for, lacking)))
        logger.warning(
            "class %d (%s): no installed font has %s: it is drawn as #%d; install one (on Debian: %s)",
            number,
            name,
            " ".join(lacking),
            number,
            packages,
        )
    return f"#{number}"


def families(texts: Sequence[str]) -> list[str]:
    """Font families with which matplotlib can draw texts, best first; new ones are registered there."""
    from matplotlib import font_manager

    names = ["DejaVu Sans"]
    for face in dict.fromkeys(face for text in texts for _, face in split_by_face(text)):
        if face is None:
            continue
        try:
            entry = font_manager.get_font(face.path)
            font_manager.fontManager.addfont(face.path)
        except (OSError, RuntimeError):  # bitmap colour fonts: matplotlib draws only outlines
            continue
        names.append(entry.family_name)
    return list(dict.fromkeys(names))
