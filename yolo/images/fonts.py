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
"""Sizes in pixels of colour fonts made of bitmaps, which have no others: Noto's 109, Apple's 160."""
PACKAGES = {
    "CJK": "fonts-noto-cjk",
    "HIRAGANA": "fonts-noto-cjk",
    "KATAKANA": "fonts-noto-cjk",
    "HANGUL": "fonts-noto-cjk",
    "emoji": "fonts-noto-color-emoji",
}
"""Debian's package of a font by the first word of a character's Unicode name."""
OTHER_PACKAGE = "fonts-noto-core"
JOINERS = {"\u200c", "\u200d", *map(chr, range(0xFE00, 0xFE10)), *map(chr, range(0x1F3FB, 0x1F400))}
"""Joiners, variation selectors and skin tones: they change the character before them and stay in its font."""
OTHER_STYLES = re.compile(r"bold|italic|oblique|light|thin|black|heavy|condensed|mono|serif", re.IGNORECASE)
"""In a file's name: not the plain style of a font without serifs."""


class Face(NamedTuple):
    """A font of a file; collections (``.ttc``) hold several."""

    path: str
    number: int = 0


class Run(NamedTuple):
    """A part of a text that is in one font, and by how much that is scaled."""

    text: str
    font: ImageFont.FreeTypeFont
    scale: float

    @property
    def length(self) -> float:
        return self.font.getlength(self.text) * self.scale


class Lettering:
    """The fonts of labels in one size: a primary one, and the system's for the characters that it lacks.

    Args:
        size: height of the letters in pixels.
    """

    def __init__(self, size: int):
        self.size = size
        self.primary = _load_primary(size)

    def runs(self, text: str) -> list[Run]:
        """The text in parts, each with a font that has its characters."""
        return [Run(part, *self._load(face)) for part, face in split_by_face(text)]

    def _load(self, face: Face | None) -> tuple[ImageFont.FreeTypeFont, float]:
        return (self.primary, 1.0) if face is None else load_face(face, self.size)

    def metrics(self, text: str) -> tuple[int, int]:
        """(ascent, descent) in pixels of the tallest font that the text needs."""
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
    """Draw a run of a font whose only size is another one."""
    ascent, descent = run.font.getmetrics()
    whole = Image.new("RGBA", (max(1, round(run.font.getlength(run.text))), ascent + descent))
    ImageDraw.Draw(whole).text((0, ascent), run.text, colour, run.font, anchor="ls", embedded_color=True)
    small = whole.resize([max(1, round(side * run.scale)) for side in whole.size], Image.Resampling.BOX)
    corner = (round(place[0]), round(place[1] - ascent * run.scale))
    draw._image.paste(small, corner, small)


def split_by_face(text: str) -> Iterator[tuple[str, Face | None]]:
    """The runs of a text and their fonts; None: the primary one.

    Marks, joiners and spaces stay in the font of the character before them where it has them: a script such as
    Devanagari is shaped across them.
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
    """The font for a character: None, the primary one, if that has it or no font does."""
    if covers(primary_face(), letter):
        return None
    return fallback_face(letter)


def missing(text: str) -> list[str]:
    """The characters of a text that no font has."""
    return [
        letter
        for letter in dict.fromkeys(text)
        if letter not in JOINERS
        and not letter.isspace()
        and not covers(primary_face(), letter)
        and fallback_face(letter) is None
    ]


def package_for(letter: str) -> str:
    """Debian's package of a font that has a character."""
    script = "emoji" if unicodedata.category(letter) == "So" else unicodedata.name(letter, "").split(" ")[0]
    return PACKAGES.get(script.split("-")[0], OTHER_PACKAGE)


@lru_cache(maxsize=4096)
def fallback_face(letter: str) -> Face | None:
    """The first system font that has a character; None: there is none."""
    return next((face for face in candidates(letter) if covers(face, letter)), None)


def candidates(letter: str) -> Sequence[Face]:
    """The system's fonts that may have a character, those without serifs and in plain style first.

    Fontconfig knows which have it; without it all are tried.
    """
    program = shutil.which("fc-list")
    if program is None:
        return system_faces()
    query = [program, f":charset={ord(letter):x}", "--format", "%{file}\\t%{index}\\n"]
    listed = subprocess.run(query, capture_output=True, check=False).stdout.decode(errors="surrogateescape")
    rows = (line.split("\t") for line in listed.splitlines() if "\t" in line)
    # Above 16 bits stands the instance of a variable font.
    return in_order(Face(path, int(index) & 0xFFFF) for path, index in rows if index.isdecimal())


def in_order(faces: Iterable[Face]) -> tuple[Face, ...]:
    """Faces without doubles, best first: by the words in the file's name that say another style, then by name."""
    return tuple(sorted(set(faces), key=lambda face: (len(OTHER_STYLES.findall(Path(face.path).stem)), face)))


def covers(face: Face, letter: str) -> bool:
    """Whether a font has a character."""
    return ord(letter) in coverage(face)


@cache
def coverage(face: Face) -> frozenset[int]:
    """The code points that a font has, by its cmap table; none if the file cannot be read."""
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

    if not face.path:
        return frozenset(range(32, 127))  # Pillow's own
    try:
        with Path(face.path).open("rb") as file, TTFont(file, fontNumber=face.number, lazy=True) as font:
            return frozenset(font.getBestCmap() or ())
    except Exception:
        return frozenset()


@lru_cache(maxsize=1)
def system_faces() -> tuple[Face, ...]:
    """All fonts of the system."""
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
    """A font in a size, and by how much it has to be scaled: colour fonts of bitmaps have one size alone."""
    for strike in (size, *STRIKES):
        try:
            return ImageFont.truetype(face.path, strike, face.number), size / strike
        except OSError:  # "invalid pixel size"
            continue
    return _load_primary(size), 1.0


_reported: set[str] = set()


def drawable(name: str, number: int) -> str:
    """A class name as it can be drawn: itself, or ``#`` and the class's number where no font has its characters.

    The log says once for each name which font to install.
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
    """The font families with which matplotlib can draw texts, best first; registered there if they are new."""
    from matplotlib import font_manager

    names = ["DejaVu Sans"]
    for face in dict.fromkeys(face for text in texts for _, face in split_by_face(text)):
        if face is None:
            continue
        try:
            entry = font_manager.get_font(face.path)
            font_manager.fontManager.addfont(face.path)
        except (OSError, RuntimeError):  # colour fonts of bitmaps: matplotlib draws outlines alone
            continue
        names.append(entry.family_name)
    return list(dict.fromkeys(names))
