"""Results of benchmarks, made up."""

from __future__ import annotations

from yolo.bench.candidates import Candidate, labels
from yolo.bench.results import Result

ROWS = [  # runtime, precision, latency in ms, pictures/s, AP
    ("keras", "float32", 33.0, 31.0, 0.331),
    ("keras", "bfloat16", 22.0, 47.0, 0.329),
    ("openvino", "float32", 30.0, 36.0, 0.331),
    ("openvino", "bfloat16", 15.0, 71.0, 0.330),
    ("onnx", "float32", 31.5, 33.0, 0.331),
    ("litert", "float32", 41.0, 24.0, 0.331),
]


def make_results(*, weights: str = "runs/a/best.keras", accuracy: bool = True) -> list[Result]:
    """A result a row of `ROWS`; two bursts, whose median is the row's latency and rate."""
    candidates = [Candidate(weights, runtime, precision) for runtime, precision, *_ in ROWS]
    return [
        Result(
            candidate=candidate,
            label=label,
            canvas=(416, 416),
            precision=candidate.precision,
            file_bytes=35_562_133,
            startup_s=1.5,
            peak_bytes=301_000_000,
            peak_bytes_batches=402_000_000,
            latencies=[[ms / 1000, ms / 1000], [0.97 * ms / 1000, 1.05 * ms / 1000]],
            rates={1: [rate, rate], 8: [1.1 * rate, 1.3 * rate]},
            metrics={"AP": ap, "AP50": ap + 0.25} if accuracy else {},
        )
        for candidate, label, (_, _, ms, rate, ap) in zip(candidates, labels(candidates), ROWS, strict=True)
    ]


MACHINE = {
    "processor": "A Processor",
    "instructions": ["avx2"],
    "cores": 2,
    "load": 0.1,
    "python": "3.11.7",
    "packages": {"yolov3-keras": "0.1.0", "openvino": "2026.4.1"},
}
