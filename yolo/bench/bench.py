"""Benchmark of candidates side by side, each in a process of its own, timed in turns."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from yolo.bench.candidates import Candidate, labels
from yolo.bench.int8_file import NAMES
from yolo.bench.process import Worker, WorkerError
from yolo.bench.results import Result
from yolo.bench.turns import BURST_SECONDS, take_turns
from yolo.errors import ConfigError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Settings of a benchmark."""

    batches: Sequence[int] = (1, 8)
    """Images per batch, for throughput."""
    seconds: float = 3.0
    """Time for each candidate's latency, and for each of its batches."""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Further arguments of `yolo.load` by weights file."""
    data: Mapping[str, Any] | None = None
    """Arguments of `load_dataset` for AP, on which int8 is calibrated too; None: neither."""


def run_benchmark(candidates: Sequence[Candidate], plan: Plan) -> list[Result]:
    """Measure candidates.

    Args:
        candidates: the candidates; those that fail have the reason in their result.
        plan: the settings.

    Raises:
        ConfigError: none of them could be measured.
    """
    results = [
        Result(each, label, failed=each.missing, precision=each.precision)
        for each, label in zip(candidates, labels(candidates), strict=True)
    ]
    with ExitStack() as stack:
        workers = start_all(results, plan, stack)
        measure(workers, results, plan)
        if plan.data is not None:
            evaluate_all(workers, results, plan.data)
        for line in dict.fromkeys(line for worker in workers.values() for line in worker.said):
            logger.warning("%s", line)
    if all(each.failed for each in results):
        raise ConfigError(f"none of {len(results)} candidates runs: {results[0].label}: {results[0].failed}")
    return results


def start_all(results: Sequence[Result], plan: Plan, stack: ExitStack) -> dict[int, Worker]:
    """Start the workers one after the other, and measure how long each takes to its first detection.

    Returns:
        The workers by the index of their result; those that failed are missing.
    """
    workers: dict[int, Worker] = {}
    for index, result in enumerate(results):
        if result.failed:
            logger.info("%d of %d: %s: %s", index + 1, len(results), result.label, result.failed)
            continue
        logger.info("%d of %d: %s is prepared and started", index + 1, len(results), result.label)
        worker = attempt(result, partial(start, result, plan, stack))
        if worker is not None:
            workers[index] = worker
    return workers


def start(result: Result, plan: Plan, stack: ExitStack) -> Worker:
    """Convert a candidate in a first process, then start its own and measure that."""
    candidate = result.candidate
    loading = {
        "weights": candidate.weights,
        "runtime": candidate.runtime,
        "precision": candidate.precision,
        "options": dict(plan.options.get(candidate.weights, {})),
        "converted": candidate.converted,
    }
    with Worker() as first:  # conversion takes memory and time, which are not to be measured
        if candidate.calibrated:
            loading = export_first(first, loading, plan, stack)
        first.ask("load", **loading)
        first.ask("first")
        result.file_bytes = first.ask("size")["bytes"]
    begin = time.perf_counter()
    worker = stack.enter_context(Worker())
    worker.ask("load", **loading)
    found = worker.ask("first")
    result.startup_s = time.perf_counter() - begin
    height, width = found["canvas"]
    result.canvas, result.precision = (height, width), found["precision"] or candidate.precision
    return worker


def export_first(worker: Worker, loading: dict[str, Any], plan: Plan, stack: ExitStack) -> dict[str, Any]:
    """Have a worker export the int8 file of a candidate into a temporary folder.

    Returns:
        What loads that file in place of the candidate's own.
    """
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="yolov3-")))
    path = str(folder / NAMES[loading["runtime"]])
    given = {name: loading[name] for name in ("weights", "runtime", "options")}
    worker.ask("export", **given, data=plan.data, path=path)
    return {**loading, "weights": path, "precision": "auto", "options": {}, "converted": False}


def measure(workers: Mapping[int, Worker], results: Sequence[Result], plan: Plan) -> None:
    """Measure latency, memory, and throughput by batch, in turns."""

    def latency(index: int) -> float:
        burst = workers[index].ask("latency", seconds=BURST_SECONDS)["seconds"]
        results[index].latencies.append(burst)
        return float(sum(burst))

    def memory(index: int) -> None:
        results[index].peak_bytes = workers[index].ask("memory")["bytes"]

    def throughput(batch: int, index: int) -> float:
        found = workers[index].ask("throughput", seconds=BURST_SECONDS, batch=batch)
        results[index].rates.setdefault(batch, []).append(found["rate"])
        results[index].parallel = found["parallel"]
        return float(found["seconds"])

    def memory_of_batches(index: int) -> None:
        results[index].peak_bytes_batches = workers[index].ask("memory")["bytes"]

    def running() -> list[int]:
        return [index for index in workers if not results[index].failed]

    def guarded(burst: Callable[[int], float], index: int) -> float | None:
        return attempt(results[index], partial(burst, index))

    logger.info("latency: %d candidates in turns, about %.0f s each", len(running()), plan.seconds)
    take_turns(running(), partial(guarded, latency), seconds=plan.seconds)
    for index in running():
        attempt(results[index], partial(memory, index))
    for batch in plan.batches:
        logger.info("throughput in batches of %d: the same in turns", batch)
        take_turns(running(), partial(guarded, partial(throughput, batch)), seconds=plan.seconds)
    for index in running():
        attempt(results[index], partial(memory_of_batches, index))


def evaluate_all(workers: Mapping[int, Worker], results: Sequence[Result], data: Mapping[str, Any]) -> None:
    """Measure AP of each candidate, one after the other; each process ends when it has done so.

    Without AP, for example of a file with suppression inside, the speeds stay in the result; a warning says why.
    """
    for index, worker in workers.items():
        result = results[index]
        if not result.failed:
            logger.info("AP of %s", result.label)
            try:
                result.metrics = worker.ask("evaluate", data=data)
            except WorkerError as error:
                logger.warning("%s: AP is not measured: %s", result.label, error)
        worker.close()


def attempt(result: Result, call: Callable[[], Any]) -> Any:
    """Call, and return the result, or None if the candidate failed; the reason is noted and said."""
    try:
        return call()
    except WorkerError as error:
        result.failed = str(error)
        logger.info("%s: %s", result.label, error)
        return None
