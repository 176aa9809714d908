"""Candidates of a benchmark: each runtime and precision that can run the given files, and why others cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from yolo.errors import ConfigError
from yolo.exporting.quantisers import check_quantiser
from yolo.runtimes.choose import check_installed
from yolo.runtimes.load import RUN_BY
from yolo.weights.locate import exported_runtime

BenchRuntime = Literal["keras", "openvino", "onnx", "litert"]
BenchPrecision = Literal["float32", "bfloat16", "int8"]

KINDS: tuple[tuple[BenchRuntime, BenchPrecision], ...] = (
    ("keras", "float32"),
    ("keras", "bfloat16"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
    ("onnx", "float32"),
    ("litert", "float32"),
    ("openvino", "int8"),
    ("onnx", "int8"),
    ("litert", "int8"),
)
"""Runtime and precision of each candidate that is made of a weights file; int8 only with pictures to calibrate on."""


@dataclass(frozen=True)
class Candidate:
    """A file in a runtime and a precision."""

    weights: str
    runtime: str
    precision: str
    """``float32``, ``bfloat16``, ``int8``, or ``auto``: the file's own."""
    missing: str = ""
    """Reason why it cannot be measured on this machine; empty: it can."""

    @property
    def converted(self) -> bool:
        """Whether the runtime runs a conversion of the file rather than the file itself."""
        return self.runtime != "keras" and exported_runtime(self.weights) is None

    @property
    def calibrated(self) -> bool:
        """Whether an int8 file is exported first, which is what runs."""
        return self.precision == "int8"


def find_candidates(
    paths: Sequence[str], *, runtimes: Sequence[str] = (), precisions: Sequence[str] = (), pictures: bool = False
) -> list[Candidate]:
    """List the candidates, those that cannot run here with the reason.

    Args:
        paths: weights files and exported files.
        runtimes: only these; empty: all.
        precisions: only these; empty: all. Exported files have one of their own, which is not asked for.
        pictures: whether there is a dataset, on which int8 is calibrated.

    Raises:
        ConfigError: nothing is left to be measured, or int8 is asked for without a dataset.
    """
    if "int8" in precisions and not pictures:
        raise ConfigError("--precisions int8: is calibrated on pictures; give --data")
    runtimes = runtimes or get_args(BenchRuntime)
    precisions = precisions or [each for each in get_args(BenchPrecision) if pictures or each != "int8"]
    found = [
        replace(candidate, missing=reason_missing(candidate))
        for path in dict.fromkeys(paths)
        for runtime, precision in kinds_of(path, precisions)
        if runtime in runtimes
        for candidate in [Candidate(path, runtime, precision)]
    ]
    if not found:
        raise ConfigError(
            f"nothing to measure: no candidate runs {', '.join(paths)} in {', '.join(runtimes)} "
            f"with {', '.join(precisions)}; leave out --runtime or --precisions"
        )
    return found


def kinds_of(path: str, precisions: Sequence[str]) -> list[tuple[str, str]]:
    """Runtimes and precisions in which a file can run, of the wanted precisions."""
    made_for = exported_runtime(path)
    if made_for is not None:
        return [(runtime, "auto") for runtime in RUN_BY[made_for]]
    return [kind for kind in KINDS if kind[1] in precisions]


def reason_missing(candidate: Candidate) -> str:
    """Reason why a candidate cannot be run here; empty if it can."""
    try:
        check_installed(candidate.runtime, convert=candidate.converted)
        if candidate.calibrated:
            check_quantiser(candidate.runtime)
    except ConfigError as error:
        return str(error)
    return ""


def labels(candidates: Sequence[Candidate]) -> list[str]:
    """Short names of candidates, all different: ``openvino bfloat16``, with the file where there are several."""
    several = len({each.weights for each in candidates}) > 1
    files = short_names([each.weights for each in candidates])
    return [
        " ".join([*([file] if several else []), each.runtime, *([each.precision] if each.precision != "auto" else [])])
        for file, each in zip(files, candidates, strict=True)
    ]


def short_names(paths: Sequence[str]) -> list[str]:
    """File names of paths, with as many of their folders as it takes to tell different paths apart."""
    parts = {path: Path(path).parts for path in paths}
    longest = max(map(len, parts.values()), default=1)
    tails = ({path: "/".join(each[-length:]) for path, each in parts.items()} for length in range(1, longest + 1))
    names = next((each for each in tails if len(set(each.values())) == len(parts)), {})
    return [names.get(path, path) for path in paths]
