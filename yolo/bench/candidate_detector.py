"""One candidate's detector and its measurements, in a process of its own."""

from __future__ import annotations

import gc
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.bench.bursts import measure_rate, time_calls
from yolo.runtimes.cache import cached_conversion
from yolo.runtimes.interface import AnyDetector
from yolo.runtimes.load import load_detector
from yolo.system.used_memory import peak_memory

EVALUATION_BATCH = 8


class CandidateDetector:
    """Detector in one runtime and precision, loaded for latency at first.

    Args:
        weights: path of the file.
        runtime: runtime of the network.
        precision: precision of the network.
        options: further arguments of `yolo.load`.
        converted: whether the runtime runs a conversion of the file rather than the file itself.

    Raises:
        YoloError: the file cannot be loaded.
    """

    def __init__(self, *, weights: str, runtime: str, precision: str, options: dict[str, Any], converted: bool) -> None:
        if runtime == "keras":
            from yolo.system.startup import start_keras

            start_keras()
        self._weights, self._converted, self._runtime = weights, converted, runtime
        size = options.get("size")
        self._options = {**options, "size": tuple(size)} if size else options
        self._load = partial(load_detector, weights, runtime=runtime, precision=precision, **self._options)  # type: ignore[arg-type]
        self._aim = "latency"
        self._detector: AnyDetector = self._load(aim="latency")

    def first(self) -> dict[str, Any]:
        """Detect for the first time.

        Returns:
            ``{"canvas": [height, width], "precision"}``: the precision, where the runtime says it.
        """
        call_find(self._detector, self._images(1))
        network = getattr(self._detector, "network", None)
        return {"canvas": list(self._detector.canvas), "precision": getattr(network, "precision", None)}

    def size(self) -> dict[str, int]:
        """Measure the size in bytes of the file that the runtime reads."""
        if self._converted:
            options = {"size": None, "letterbox": None, **self._options}
            path = cached_conversion(self._weights, self._runtime, options)
        else:
            path = Path(self._weights)
        return {"bytes": size_of(path)}

    def memory(self) -> dict[str, int]:
        """Peak of the process's resident memory so far, in bytes."""
        return {"bytes": peak_memory()}

    def latency(self, *, seconds: float) -> dict[str, list[float]]:
        """Measure durations in seconds of detection in one image at a time."""
        self._aim_at("latency")
        return {"seconds": time_calls(partial(call_find, self._detector, self._images(1)), seconds)}

    def throughput(self, *, seconds: float, batch: int) -> dict[str, float]:
        """Measure images per second, in batches, with as many calls at a time as suit the runtime."""
        self._aim_at("throughput")
        parallel = getattr(getattr(self._detector, "network", None), "parallel", 1)
        call = partial(call_find, self._detector, self._images(batch))
        rate, measured = measure_rate(call, seconds, batch=batch, parallel=parallel)
        return {"rate": rate, "seconds": measured, "parallel": parallel}

    def evaluate(self, *, data: dict[str, Any]) -> dict[str, float]:
        """Measure AP and AP50 on a dataset.

        Args:
            data: arguments of `load_dataset`.
        """
        from yolo.system.startup import start_keras

        start_keras()  # the input pipeline is TensorFlow's
        from yolo.datasets.load import load_dataset
        from yolo.evaluation.class_mapping import map_classes
        from yolo.evaluation.evaluator import find_all
        from yolo.evaluation.metrics import compute_metrics
        from yolo.evaluation.splits import warn_if_trained_on

        dataset = map_classes(load_dataset(**data), self._detector.classes)
        warn_if_trained_on(self._detector.origin, dataset)
        detector: Any = self._detector
        found = find_all(detector, dataset, batch=EVALUATION_BATCH)
        summary = compute_metrics(dataset, found)["coco"]
        return {"AP": summary["AP"], "AP50": summary["AP50"]}

    def _aim_at(self, aim: Any) -> None:
        if aim != self._aim:
            del self._detector
            gc.collect()  # before the other one takes its memory
            self._detector, self._aim = self._load(aim=aim), aim

    def _images(self, batch: int) -> NDArray[np.float32]:
        """Grey noise (B, H, W, 3) on the canvas: the network's time does not depend on the pixels."""
        height, width = self._detector.canvas
        return np.random.default_rng(0).uniform(96, 160, (batch, height, width, 3)).astype(np.float32)


def call_find(detector: AnyDetector, images: NDArray[np.float32]) -> None:
    """Detect in images (B, H, W, 3) on the canvas, until the results lie in this process's memory."""
    np.asarray(detector.find(images).scores)


def size_of(path: Path) -> int:
    """Size in bytes of a file, with the ``.bin`` of an OpenVINO model, or of all files in a folder."""
    if path.is_dir():
        return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
    weights = path.with_suffix(".bin") if path.suffix == ".xml" else path
    return sum(each.stat().st_size for each in {path, weights} if each.is_file())
