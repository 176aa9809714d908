"""Content of a report: everything that one page is made of, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.analysis.analysis import Analysis
from yolo.structs import Dataset, Size


@dataclass(frozen=True, eq=False, kw_only=True)
class Content:
    """Content of a report; sections without data are left out."""

    title: str
    metrics: Mapping[str, Any]
    """Metrics object of `compute_metrics`."""
    analysis: Analysis | None = None
    """Analysis of the detections, if they and the ground truth are known."""
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Column of each value over the epochs of a run; NaN where there is none."""
    parts: Mapping[str | None, Dataset] = field(default_factory=dict)
    """Splits of the dataset whose health is shown."""
    anchors: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)
    """(N, 2) widths and heights in pixels of the canvas, of each set by name."""
    canvas: Size | None = None
    """(height, width) of the network's input."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Where the figures come from, as `yolo.report.about` writes it: command, machine, versions, speed."""
