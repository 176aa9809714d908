"""YOLOv3 object detection on TensorFlow and Keras 3."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from yolo.analysis.calibrate import calibrate
    from yolo.anchors import fit_anchors
    from yolo.datasets.load import load_dataset
    from yolo.datasets.write import write_dataset
    from yolo.errors import AnnotationError, ConfigError, MediaError, WeightsError, YoloError
    from yolo.evaluation.evaluator import evaluate
    from yolo.evaluation.metrics import Metrics
    from yolo.explaining.explain import explain
    from yolo.exporting.export import export
    from yolo.model.detector import Detector
    from yolo.runtimes.load import load_detector
    from yolo.structs import Dataset, Detections, Sample
    from yolo.training.setup import make_detector
    from yolo.training.trainer import resume, train
    from yolo.weights.load import load

_MODULES = {
    "AnnotationError": "yolo.errors",
    "ConfigError": "yolo.errors",
    "Dataset": "yolo.structs",
    "Detections": "yolo.structs",
    "Detector": "yolo.model.detector",
    "MediaError": "yolo.errors",
    "Metrics": "yolo.evaluation.metrics",
    "Sample": "yolo.structs",
    "WeightsError": "yolo.errors",
    "YoloError": "yolo.errors",
    "calibrate": "yolo.analysis.calibrate",
    "evaluate": "yolo.evaluation.evaluator",
    "explain": "yolo.explaining.explain",
    "export": "yolo.exporting.export",
    "fit_anchors": "yolo.anchors",
    "load": "yolo.weights.load",
    "load_dataset": "yolo.datasets.load",
    "load_detector": "yolo.runtimes.load",
    "make_detector": "yolo.training.setup",
    "resume": "yolo.training.trainer",
    "train": "yolo.training.trainer",
    "write_dataset": "yolo.datasets.write",
}
_ON_KERAS = {"Detector", "calibrate", "evaluate", "explain", "export", "load", "make_detector", "resume", "train"}

__all__ = [
    "AnnotationError",
    "ConfigError",
    "Dataset",
    "Detections",
    "Detector",
    "MediaError",
    "Metrics",
    "Sample",
    "WeightsError",
    "YoloError",
    "calibrate",
    "evaluate",
    "explain",
    "export",
    "fit_anchors",
    "load",
    "load_dataset",
    "load_detector",
    "make_detector",
    "resume",
    "train",
    "write_dataset",
]


def __getattr__(name: str) -> Any:
    # Importing TensorFlow takes seconds: each name is imported when it is first asked for.
    if name not in _MODULES:
        raise AttributeError(f"module 'yolo' has no attribute {name!r}")
    if name in _ON_KERAS and "keras" not in sys.modules:
        from yolo.system.startup import import_keras

        import_keras()
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    # For completion in a shell or a notebook, which looks for names that were not asked for yet.
    return sorted({*globals(), *__all__})
