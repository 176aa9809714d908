"""XML annotation files: parsed without entities, in the encodings that tools write, or only their root's name read."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from yolo.datasets.annotations.text_files import read_bytes
from yolo.errors import AnnotationError
from yolo.files.bounded import open_file

GLANCE = 4096
"""Number of bytes at the beginning of a file in which the root element is looked for."""
BLANK = b"\xef\xbb\xbf \t\r\n"
"""Byte order mark and white space, which some tools write before the declaration although XML forbids it."""
REPLACED = "\ufffd"
"""Character in place of bytes that could not be decoded."""
DECLARATION = re.compile(rb"""<\?xml\b[^>]{0,200}?\?>""")
ENCODING = re.compile(rb"""\bencoding\s*=\s*["']([\w.:-]{1,40})["']""")
PROLOGUE = re.compile(r"<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[.*?\])?[^>]*>", re.DOTALL)
ROOT = re.compile(r"\s*<([\w.:-]{1,80})")
AMPERSAND = re.compile(r"&(?!#?\w{1,20};)")
CODECS = {
    r"gb.*|x-gbk|(cp|ms|windows-)936": "gb18030",
    r"big5.*|(cp|ms|windows-)950": "big5hkscs",
    r"(x-)?s(hift-)?jis.*|(cp|ms|windows-)932|windows-31j|ms-kanji": "cp932",
    r"euc-?jp": "euc_jp",
    r"euc-?kr|ks-?c-?5601.*|(cp|ms|windows-)949": "cp949",
    r"(windows-|cp)125[0-8]|iso-?8859-(1?[1-9]|10)|latin-?1|koi8-[ru]": "",  # by the same name
    r"utf-?8|utf-?16.*|ucs-?2|(us-)?ascii|unicode|ansi": "utf-8",  # UTF-16 has a mark, or is a wrong declaration
}
"""Python's codec for the encodings that files declare, each the widest of its family; `""`: the declared name.

Not every codec of Python's: some take far longer than linear time, or are no encodings of text."""


def parse_xml(path: Path) -> Element:
    """Parse an annotation file, also one with a faulty beginning, a bare ``&`` or an encoding unknown to expat.

    Bytes that are not of the file's encoding become `REPLACED`: the caller refuses that in what matters.

    Raises:
        AnnotationError: the file cannot be read, is not XML, or defines entities.
    """
    data = read_bytes(path)
    try:
        return parse(path, data)
    except (ParseError, ValueError, LookupError) as error:
        text = readable(data)
        try:
            if text is not None:
                return parse(path, text)
        except (ParseError, ValueError):
            pass
        raise AnnotationError(describe(path, data, error)) from error


def parse(path: Path, content: bytes | str) -> Element:
    try:
        root: Element = fromstring(content)
    except DefusedXmlException as error:
        raise AnnotationError(f"{path}: defines entities or refers to other files; remove that") from error
    return root


def readable(data: bytes) -> str | None:
    """Text of a file that expat refuses, without its declaration; None if its encoding is not known."""
    data = data.lstrip(BLANK)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return PROLOGUE.sub("", data.decode("utf-16", "replace"), count=1)
    codec = codec_of(declared_encoding(data))
    declaration = DECLARATION.match(data)
    body = data[declaration.end() :] if declaration else data
    return None if codec is None else AMPERSAND.sub("&amp;", body.decode(codec, "replace")).lstrip()


def declared_encoding(data: bytes) -> str:
    """Encoding in a file's declaration, in lower case; empty if it has none."""
    declaration = DECLARATION.match(data)
    found = ENCODING.search(declaration[0]) if declaration else None
    return found[1].decode().lower().replace("_", "-") if found else ""


def codec_of(encoding: str) -> str | None:
    """Python's codec for a declared encoding: UTF-8 if none is declared, None if it is not known."""
    if not encoding:
        return "utf-8"
    return next((codec or encoding for names, codec in CODECS.items() if re.fullmatch(names, encoding)), None)


def describe(path: Path, data: bytes, error: Exception) -> str:
    """Message about a file that is not XML."""
    line = not_utf8(data.lstrip(BLANK))
    if line and codec_of(declared_encoding(data.lstrip(BLANK))) == "utf-8":
        return f"{path}:{line}: not valid XML ({NOT_UTF8}"
    if isinstance(error, ParseError):
        row, column = error.position
        problem = str(error).partition(":")[0]
        return f"{path}:{row}:{column + 1}: not valid XML ({problem}); mend or export the file again"
    return f"{path}: not valid XML ({error!s:.100}); export the file again"


NOT_UTF8 = (
    "it is not UTF-8, and declares no other encoding); save it as UTF-8, or declare its encoding in the "
    'first line, such as <?xml version="1.0" encoding="gb18030"?>'
)


def not_utf8(data: bytes) -> int:
    """Line of the first byte that is not UTF-8; 0 if there is none, or the file is UTF-16."""
    try:
        data.decode("utf-8" if data[:2] not in (b"\xff\xfe", b"\xfe\xff") else "latin-1")
    except UnicodeDecodeError as fault:
        return data.count(b"\n", 0, fault.start) + 1
    return 0


def root_name(path: Path) -> str | None:
    """Name of a file's root element in lower case, from its first `GLANCE` bytes; None if it cannot be told."""
    try:
        with open_file(path) as file:
            head = file.read(GLANCE).lstrip(BLANK)
    except OSError:
        return None
    wide = head[:2] in (b"\xff\xfe", b"\xfe\xff")
    text = head.decode("utf-16", "ignore") if wide else head.decode("latin-1")
    found = ROOT.match(PROLOGUE.sub("", text))
    return found[1].lower() if found else None
