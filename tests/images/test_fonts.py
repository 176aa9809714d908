"""Fonts of class names: chosen by what a font has, whatever fonts this machine has."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image, ImageDraw

from yolo.images import fonts
from yolo.images.draw import draw_boxes, patch_size
from yolo.images.fonts import Face, Lettering, drawable, fallback_face, missing, package_for, split_by_face
from yolo.images.plots import make_figure, save_figure

CAT, DOG, NAGARI = "猫", "犬", "\u0915\u093f"


def build_font(path, characters, *, family="Tiny"):
    """A font whose characters are all the same solid square of a whole em."""
    names = {ord(letter): f"uni{ord(letter):X}" for letter in characters}
    pen = TTGlyphPen(None)
    for index, corner in enumerate([(0, 0), (0, 1000), (1000, 1000), (1000, 0)]):
        (pen.lineTo if index else pen.moveTo)(corner)
    pen.closePath()
    square = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), **dict.fromkeys(names.values(), square)})
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names.values()], (1000, 0)))
    builder.setupHorizontalHeader(ascent=1500, descent=-500)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=1500, sTypoDescender=-500, usWinAscent=1500, usWinDescent=500)
    builder.setupPost()
    builder.save(path)
    return Face(str(path))


@pytest.fixture
def system(monkeypatch):
    """Let a test say which fonts the system has."""

    def have(*faces):
        fallback_face.cache_clear()
        monkeypatch.setattr(fonts, "candidates", lambda letter: faces)  # noqa: ARG005
        monkeypatch.setattr(fonts, "_reported", set())

    yield have
    fallback_face.cache_clear()


def test_the_font_is_chosen_by_its_characters(tmp_path, system):
    cat, dog = build_font(tmp_path / "cat.ttf", CAT), build_font(tmp_path / "dog.ttf", DOG)
    system(dog, cat)
    assert list(split_by_face(f"big {CAT}{DOG} 0.98")) == [("big ", None), (CAT, cat), (DOG, dog), (" 0.98", None)]
    assert missing(f"{CAT}{DOG} ok") == []


def test_marks_and_spaces_stay_in_the_font_of_what_is_before_them(tmp_path, system):
    face = build_font(tmp_path / "nagari.ttf", NAGARI + " ")
    system(face)
    assert list(split_by_face(f"{NAGARI} {NAGARI} 1")) == [(f"{NAGARI} {NAGARI} ", face), ("1", None)]


def test_latin_greek_and_cyrillic_need_no_other_font(system):
    system()
    assert list(split_by_face("Käfer кошка γάτα")) == [("Käfer кошка γάτα", None)]


def test_the_glyph_of_the_font_is_drawn(tmp_path, system):
    system(build_font(tmp_path / "cat.ttf", CAT))
    lettering, sheet = Lettering(20), Image.new("RGB", (60, 60))
    lettering.draw(ImageDraw.Draw(sheet), (10, 40), CAT, (255, 0, 0))
    found = np.argwhere(np.asarray(sheet)[..., 0] > 200)
    assert found.min(axis=0).tolist() == [20, 10]  # the square: from the baseline up, 20 px each way
    assert found.max(axis=0).tolist() == [39, 29]
    assert lettering.getlength(CAT) == 20
    assert lettering.metrics(CAT) == (30, 10)  # taller than DejaVu's
    assert lettering.metrics("a") == lettering.primary.getmetrics()
    assert patch_size(CAT, lettering) == (40, 28)


def test_names_without_a_font_become_numbers_and_are_told_once(system, caplog):
    system()
    with caplog.at_level(logging.WARNING):
        assert [drawable(CAT, 3), drawable(CAT, 3), drawable("cat", 4)] == ["#3", "#3", "cat"]
    assert [record.getMessage() for record in caplog.records] == [
        "class 3 (猫): no installed font has 猫: it is drawn as #3; install one (on Debian: fonts-noto-cjk)"
    ]


def test_a_number_is_drawn_instead_of_boxes(system):
    system()
    image, box = np.zeros((100, 200, 3), np.uint8), np.array([[20, 50, 120, 90]], np.float32)
    label = np.array([7], np.int32)
    named, numbered = (draw_boxes(image, box, label, [name] * 8) for name in (CAT, "#7"))
    assert np.array_equal(np.asarray(named), np.asarray(numbered))


@pytest.mark.parametrize(
    ("letter", "package"),
    [
        ("猫", "fonts-noto-cjk"),
        ("ネ", "fonts-noto-cjk"),
        ("고", "fonts-noto-cjk"),
        ("แ", "fonts-noto-core"),
        ("क", "fonts-noto-core"),
        ("🐈", "fonts-noto-color-emoji"),
    ],
)
def test_the_package_of_a_script(letter, package):
    assert package_for(letter) == package


def test_a_damaged_font_is_passed_over(tmp_path, system):
    (tmp_path / "bad.ttf").write_bytes(b"no font")
    good = build_font(tmp_path / "cat.ttf", CAT)
    system(Face(str(tmp_path / "bad.ttf")), good)
    assert fallback_face(CAT) == good


def test_without_fontconfig_all_fonts_are_tried_plain_ones_first(tmp_path, monkeypatch):
    plain, bold = (build_font(tmp_path / name, CAT) for name in ("Z-Regular.ttf", "A-BoldItalic.ttf"))
    monkeypatch.setattr(fonts.shutil, "which", lambda name: None)  # noqa: ARG005
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: [bold.path, plain.path])
    fonts.system_faces.cache_clear()
    try:
        assert fonts.candidates(CAT) == (plain, bold)
    finally:
        fonts.system_faces.cache_clear()


def test_a_strike_of_one_size_is_scaled(tmp_path, monkeypatch):
    face, real = build_font(tmp_path / "emoji.ttf", "🐈"), fonts.ImageFont.truetype

    def of_one_size(path, size, index=0):
        if size != 109:
            raise OSError("invalid pixel size")
        return real(path, size, index)

    monkeypatch.setattr(fonts.ImageFont, "truetype", of_one_size)
    font, scale = fonts.load_face(face, 22)
    assert (font.size, scale) == (109, 22 / 109)
    sheet = Image.new("RGB", (60, 60))
    fonts._draw_scaled(ImageDraw.Draw(sheet), (10, 40), fonts.Run("🐈", font, scale), (255, 0, 0))
    found = np.argwhere(np.asarray(sheet)[..., 0] > 200)
    assert np.abs(found.min(axis=0) - [18, 10]).max() <= 1
    assert np.abs(found.max(axis=0) - [39, 31]).max() <= 1


def test_figures_draw_names_in_any_script(tmp_path, system, recwarn):
    system(build_font(tmp_path / "cat.ttf", CAT, family="Tiny Cat"))
    figure = make_figure(3, 2)
    axes = figure.subplots()
    axes.set_title(f"class {CAT}")
    save_figure(figure, tmp_path / "figure.png")
    assert axes.title.get_fontfamily() == ["DejaVu Sans", "Tiny Cat"]
    assert not [each for each in recwarn if "missing from" in str(each.message)]
