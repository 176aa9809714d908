"""Report page about one model: `render_report` and `write_report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yolo
from yolo.report import data_section, sections
from yolo.report.about import command_text, environment_rows, speed_rows
from yolo.report.content import Content
from yolo.report.page import render, write_page
from yolo.report.pictures import slider_data

FILE = "report.html"
"""Name of the page in a folder."""


def write_report(folder: Path, content: Content) -> Path:
    """Write the page into a folder, and return its path.

    Raises:
        ConfigError: the file cannot be written.
    """
    write_page(folder / FILE, render_report(content))
    return folder / FILE


def render_report(content: Content) -> str:
    """Make the page: one HTML file that needs nothing else."""
    return render("report", values_of(content))


def values_of(content: Content) -> dict[str, Any]:
    """Collect the values of the template's names; what is empty is left out of the page."""
    analysis = content.analysis
    slider = None if analysis is None else slider_data(analysis)
    return {
        "title": content.title,
        "version": yolo.__version__,
        "summary": sections.summary(content),
        "metrics": sections.metric_rows(content),
        "intervals": sections.intervals_of(content),
        "classes": sections.class_rows(content),
        "starred": analysis is not None and any(not each.own for each in analysis.thresholds.values()),
        "slider": slider if slider and slider["pictures"] else None,
        "slider_json": without_pixels(slider),
        "curves": [] if analysis is None else sections.curve_figures(analysis),
        "confusion": None if analysis is None else sections.confusion_table(analysis),
        "errors": [] if analysis is None else sections.error_rows(analysis),
        "slices": [] if analysis is None else sections.slice_groups(analysis),
        "thresholds": [] if analysis is None else sections.threshold_rows(analysis),
        "calibration": [] if analysis is None else sections.calibration_figures(analysis),
        "threshold": None if analysis is None else analysis.threshold,
        "learning": sections.learning_figures(content.history),
        "health": data_section.data_health(content.parts, content.canvas) if content.parts else None,
        "anchors": data_section.anchor_figure(content),
        "speed": speed_rows(content.about, content.history),
        "environment": environment_rows(content.about),
        "command": command_text(content.about),
    }


def without_pixels(slider: dict[str, Any] | None) -> dict[str, Any]:
    """Data of the slider for the script, which has the pictures themselves in the page already."""
    if slider is None:
        return {}
    kept = ("span", "true", "found")
    return {**slider, "pictures": [{name: each[name] for name in kept} for each in slider["pictures"]]}
