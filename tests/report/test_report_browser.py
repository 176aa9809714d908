"""Report pages in headless Chromium: no fault, no request, a slider that counts, narrow screens, dark, print."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from report_cases import three_pictures

from yolo.analysis.analysis import analyse
from yolo.evaluation.metrics import Metrics
from yolo.report.comparison import Runs, Side, render_comparison
from yolo.report.content import Content
from yolo.report.page import write_page
from yolo.report.report import write_report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Files of a report and of a comparison."""
    folder = tmp_path_factory.mktemp("report")
    dataset, found = three_pictures(folder)
    analysis = analyse(dataset, found, resamples=20)
    long = "a name without any space that is longer than a telephone is wide".replace(" ", "_") * 2
    content = Content(
        title=long,
        metrics=analysis.metrics,
        analysis=analysis,
        history={"loss": [3.0, 2.0], "AP50": [0.1, 0.5]},
        parts={"val": replace(dataset, split="val")},
        anchors={"model": np.array([[10, 20], [40, 40]])},
        canvas=(160, 160),
        about={"command": ["yolov3", "eval", long]},
    )
    write_report(folder, content)
    side = Side(name=long, metrics=Metrics(analysis.metrics), history=content.history, options={"a": long})
    write_page(folder / "compare.html", render_comparison(Runs([side, replace(side, options={"a": "b"})])))
    return folder


@pytest.fixture
def opened(browser, pages):
    """Function that opens a page and notes what it complains of and asks for."""
    contexts = []

    def open_page(name="report.html", **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page, noted = context.new_page(), []
        page.on("console", lambda message: noted.append(message.text))
        page.on("pageerror", lambda error: noted.append(str(error)))
        page.on("request", lambda request: noted.append(request.url))
        page.on("dialog", lambda dialog: (noted.append("dialog"), dialog.dismiss()))
        page.goto((pages / name).as_uri())
        own = (pages / name).as_uri()
        return page, [each for each in noted if each != own and not each.startswith("data:")]

    yield open_page
    for context in contexts:
        context.close()


def slide(page, hundredths):
    page.locator("#threshold").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", hundredths
    )
    playwright.expect(page.locator("#chosen")).to_have_text(f"{hundredths / 100:.2f}")


def totals(page):
    names = ("right", "wrong", "missed", "precision", "recall", "f1")
    return [page.locator(f"#{name}").text_content() for name in names]


@pytest.mark.parametrize("name", ["report.html", "compare.html"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_complaint_and_no_request(opened, name, scheme):
    page, noted = opened(name, color_scheme=scheme)
    assert noted == []
    assert page.locator("h1").count() == 1


def test_the_slider_moves_boxes_and_counts(opened):
    page, _ = opened()
    assert totals(page) == ["3", "2", "1", "0.600", "0.750", "0.667"]
    shown = page.locator("figure.picture .detection:not(.off)")
    first = page.locator("figure.picture", has=page.locator('[alt="a.png"]'))
    assert (shown.count(), first.locator(".tally").text_content()) == (5, "2 right · 1 wrong · 0 missed")
    assert first.locator(".box.missed").count() == 0
    slide(page, 41)
    assert totals(page) == ["2", "2", "2", "0.500", "0.500", "0.500"]
    assert first.locator(".tally").text_content() == "1 right · 1 wrong · 1 missed"
    assert (shown.count(), first.locator(".box.missed").count()) == (4, 1)
    slide(page, 99)
    assert totals(page) == ["0", "0", "4", "\N{EN DASH}", "0.000", "0.000"]
    assert shown.count() == 0
    slide(page, 5)
    assert first.locator(".tally").text_content() == "2 right · 1 wrong · 0 missed"


def test_the_slider_heeds_the_keyboard(opened):
    page, _ = opened()
    page.locator("#threshold").focus()
    page.keyboard.press("ArrowRight")
    playwright.expect(page.locator("#chosen")).to_have_text("0.41")
    assert page.locator("#threshold").get_attribute("aria-valuetext") == "0.41"
    page.locator(".zoom").first.focus()
    page.keyboard.press("Enter")
    assert page.locator(".zoom").first.get_attribute("aria-pressed") == "true"


def test_names_and_true_boxes_can_be_hidden(opened):
    page, _ = opened()
    names, truths = page.locator("figure.picture text"), page.locator(".truth rect")
    assert names.first.is_visible() or names.last.is_visible()
    page.locator("#names").uncheck()
    page.locator("#truths").uncheck()
    assert not any(names.nth(row).is_visible() for row in range(names.count()))
    assert not any(truths.nth(row).is_visible() for row in range(truths.count()))


@pytest.mark.parametrize("name", ["report.html", "compare.html"])
@pytest.mark.parametrize("width", [320, 390])
def test_nothing_is_wider_than_a_telephone(opened, name, width):
    page, _ = opened(name, viewport={"width": width, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_dark_is_dark_and_print_is_light(opened):
    page, _ = opened(color_scheme="dark")
    brightness = "Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])"
    assert page.evaluate(brightness) < 40
    page.emulate_media(media="print")
    assert page.evaluate(brightness) == 255
    ink = page.evaluate("Number(getComputedStyle(document.body).color.match(/\\d+/)[0])")
    assert ink < 60


def test_it_prints(opened):
    page, _ = opened()
    assert page.pdf().startswith(b"%PDF")
