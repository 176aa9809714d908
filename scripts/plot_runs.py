#!/usr/bin/env python3
"""Draw a metric of several training runs, side by side.

    python scripts/plot_runs.py curves.png runs/frozen-0 runs/frozen-1 runs/nothing-0

Runs whose folder names differ only in a final ``-NUMBER`` (their seed) share a colour.
"""

from __future__ import annotations

import argparse
import csv
import math
import re
import sys
from pathlib import Path

from yolo.errors import ConfigError, YoloError
from yolo.images.plots import plot_runs


def read_curve(run: Path, metric: str) -> list[float]:
    """Read a column of a run's history.csv; NaN where an epoch has no value."""
    try:
        with (run / "history.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return [float(row[metric]) if row[metric] else math.nan for row in rows]
    except (OSError, KeyError, ValueError) as error:
        raise ConfigError(f"{run / 'history.csv'}: no column {metric!r} can be read ({error})") from error


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the PNG")
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs")
    parser.add_argument("--metric", default="AP50", help="column of history.csv")
    arguments = parser.parse_args()
    kinds: dict[str, list[list[float]]] = {}
    try:
        for run in arguments.runs:
            kinds.setdefault(re.sub(r"-\d+$", "", run.name), []).append(read_curve(run, arguments.metric))
        plot_runs(kinds, arguments.out, metric=arguments.metric)
    except YoloError as error:
        print(f"plot_runs: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
