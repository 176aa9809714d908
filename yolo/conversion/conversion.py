"""Choices of a conversion: what a file gives, on which canvases, in which precision."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from yolo.config import Contents, FilePrecision, Format, NmsConfig
from yolo.conversion.description import Description, describe
from yolo.errors import ConfigError

if TYPE_CHECKING:
    from yolo.model.detector import Detector

PRECISIONS: dict[Format, tuple[FilePrecision, ...]] = {
    "saved_model": ("float32", "bfloat16"),
    "onnx": ("float32", "float16", "int8"),
    "openvino": ("float32", "float16", "int8"),
    "litert": ("float32", "float16", "int8"),
}
"""Precisions that a file of each format can have, and its runtime compute with on a processor."""


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """Choices of a conversion."""

    contents: Contents = "maps"
    precision: FilePrecision = "float32"
    """Precision of weights and computation; decoding and suppression are always float32."""
    batch: int | None = None
    """Images a batch; None: any number."""
    fixed_canvas: bool = False
    """Whether the network takes the detector's canvas alone."""
    nms: NmsConfig | None = None
    """Thresholds in the file; None: the detector's own."""

    def describe(self, detector: Detector, **changes: Any) -> Description:
        """Describe a detector as the file gives it; ``changes`` are further fields."""
        fields = {
            "contents": self.contents,
            "precision": self.precision,
            "batch": self.batch,
            "fixed_canvas": self.is_fixed(detector),
            "nms": self.nms or detector.nms,
        }
        return describe(detector, **{**fields, **changes})

    def on_fixed_canvas(self, *, batch: int) -> Conversion:
        """Copy for a fixed canvas and batch."""
        return replace(self, fixed_canvas=True, batch=batch)

    def is_fixed(self, detector: Detector) -> bool:
        """Whether the network takes one canvas alone, chosen or because its layers fit no other."""
        return self.fixed_canvas or detector.architecture.fixed_canvas


MAPS = Conversion()
"""Raw maps in float32 on any canvas, for any number of images."""


def check_precision(file_format: Format, precision: FilePrecision) -> None:
    """Check that a format can hold a precision.

    Raises:
        ConfigError: it cannot.
    """
    if precision in PRECISIONS[file_format]:
        return
    possible = ", ".join(PRECISIONS[file_format])
    hint = "; OpenVINO chooses bfloat16 when it runs" if (file_format, precision) == ("openvino", "bfloat16") else ""
    raise ConfigError(f"precision {precision}: a file of format {file_format} holds {possible}{hint}")
