"""Measurements of each candidate, and the figures made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from yolo.bench.candidates import Candidate

UNSTEADY = 0.15
"""Spread of bursts above which a figure is called unsteady."""


@dataclass
class Result:
    """Measurements of one candidate so far."""

    candidate: Candidate
    label: str
    failed: str = ""
    """Reason why it was not measured to the end; empty: it was."""
    canvas: tuple[int, int] | None = None
    """(height, width) of the network's input in pixels."""
    precision: str = ""
    parallel: int = 1
    """Calls at a time when throughput was measured."""
    file_bytes: int | None = None
    startup_s: float | None = None
    """Seconds from the start of the process to the first detection, everything converted and cached before."""
    peak_bytes: int | None = None
    """Largest resident memory of the process when it has detected in one image at a time."""
    peak_bytes_batches: int | None = None
    """The same after batches."""
    latencies: list[list[float]] = field(default_factory=list)
    """Seconds of each call with one image, burst by burst."""
    rates: dict[int, list[float]] = field(default_factory=dict)
    """Images per second of each burst, by batch."""
    metrics: dict[str, float] = field(default_factory=dict)
    """AP and AP50 on the dataset, if one was given."""

    @property
    def median_ms(self) -> float:
        """Median latency in milliseconds; NaN if not measured."""
        return percentile_ms(self.latencies, 50)

    @property
    def p95_ms(self) -> float:
        """95th percentile of the latency in milliseconds; NaN if not measured."""
        return percentile_ms(self.latencies, 95)

    def rate(self, batch: int) -> float:
        """Median over the bursts of images per second; NaN if not measured."""
        return float(np.median(self.rates[batch])) if self.rates.get(batch) else float("nan")

    def spreads(self) -> dict[str, float]:
        """Spread of each figure over its bursts."""
        found = {"latency": spread([float(np.median(burst)) for burst in self.latencies])}
        return found | {f"batch {batch}": spread(rates) for batch, rates in self.rates.items()}

    def to_dict(self) -> dict[str, Any]:
        """Write all figures as plain data, times and sizes with their units in the names."""
        candidate = self.candidate
        about = {"weights": candidate.weights, "runtime": candidate.runtime, "precision": self.precision}
        if self.failed:
            return {**about, "failed": self.failed}
        spreads = self.spreads()
        return {
            **about,
            "canvas": self.canvas,
            "file_bytes": self.file_bytes,
            "startup_s": self.startup_s,
            "peak_memory_bytes": self.peak_bytes,
            "peak_memory_batches_bytes": self.peak_bytes_batches,
            "latency_ms": {
                "median": self.median_ms,
                "p95": self.p95_ms,
                "calls": sum(map(len, self.latencies)),
                "spread": spreads["latency"],
            },
            "parallel": self.parallel,
            "throughput": {
                str(batch): {"pictures_per_s": self.rate(batch), "spread": spreads[f"batch {batch}"]}
                for batch in self.rates
            },
            "metrics": self.metrics or None,
        }


def percentile_ms(bursts: Sequence[Sequence[float]], percent: float) -> float:
    """Percentile in milliseconds of durations in seconds, all bursts together; NaN without any."""
    every = [value for burst in bursts for value in burst]
    return float(np.percentile(every, percent)) * 1000 if every else float("nan")


def spread(values: Sequence[float]) -> float:
    """Interquartile range relative to the median; 0 for fewer than two values."""
    if len(values) < 2:
        return 0.0
    low, middle, high = np.percentile(values, [25, 50, 75])
    return float((high - low) / middle)


def find_noise(results: Sequence[Result], *, load: float, cores: int) -> list[str]:
    """Say what makes the figures doubtful: a busy machine, or bursts that differ.

    Args:
        results: the measured candidates.
        load: load average of the last minute before the benchmark.
        cores: number of usable cores.
    """
    found = []
    if load > cores:
        found.append(f"the machine was busy before (load average {load:.1f} on {cores} cores); figures are too slow")
    spreads = {each.label: max(each.spreads().values()) for each in results if not each.failed}
    worst = max(spreads, key=lambda label: spreads[label], default=None)
    if worst is not None and spreads[worst] > UNSTEADY:
        several = sum(value > UNSTEADY for value in spreads.values())
        found.append(
            f"bursts differ by up to {spreads[worst]:.0%} ({worst}; above {UNSTEADY:.0%} in {several} of "
            f"{len(spreads)} candidates): other programs disturb, compare only clear differences"
        )
    return found
