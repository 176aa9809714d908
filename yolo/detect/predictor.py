"""Detection in many image files: reading, network, suppression overlap; results come in the order of the files."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yolo.config import NmsConfig
from yolo.detect.batches import Batches, Fitted
from yolo.detect.ordered import ordered_map
from yolo.errors import ConfigError, MediaError
from yolo.images.codec import read_image
from yolo.images.letterbox import Letterbox
from yolo.runtimes.detector import RuntimeDetector
from yolo.structs import Detections

if TYPE_CHECKING:
    from yolo.runtimes.interface import AnyDetector

Image = NDArray[np.uint8]
Finish = Callable[[Path, Image, Detections], Any]
"""Function of an image file, its pixels (H, W, 3) uint8 RGB, and what was found in it."""
MOST_THREADS = 8
"""Most threads that read files, and that finish results."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Image file with its detections."""

    path: Path
    detections: Detections
    finished: Any = None
    """Value that ``finish`` of `predict` returned."""


@dataclass(frozen=True)
class Unreadable:
    """File that cannot be read as an image."""

    path: Path
    error: MediaError


@dataclass(frozen=True, eq=False)
class _Read:
    """Image file that was read."""

    path: Path
    image: Image | None
    letterbox: Letterbox


Item = _Read | Unreadable


def predict(
    detector: AnyDetector,
    paths: Iterable[Path],
    *,
    nms: NmsConfig | None = None,
    batch: int = 8,
    threads: int | None = None,
    rect: bool = False,
    finish: Finish | None = None,
) -> Generator[Prediction | Unreadable]:
    """Run a detector on image files; reading, network, suppression and finishing overlap, each in its own threads.

    Memory is bounded: by the number of images (`yolo.detect.batches.Batches.window`) and their size.

    Args:
        detector: detector to run.
        paths: image files.
        nms: thresholds; None: the detector's own.
        batch: most images per batch.
        threads: threads that read files, and that finish; None: one per core, at most 8.
        rect: put each image on the smallest canvas that holds it; see `check_rect`.
        finish: called for each image in a thread, for example to draw; an exception of it is raised in its place.

    Yields:
        One result per path, in the order of the paths.
    """
    count = threads or min(MOST_THREADS, os.cpu_count() or 1)
    read = partial(read_and_fit, fit=partial(fitting, detector, rect=rect), keep_image=finish is not None)
    pool = ThreadPoolExecutor(count, thread_name_prefix="finish")
    run = partial(run_batch, detector, nms, finish=partial(finished, finish, pool))
    batches: Batches[Item, Callable[[], Prediction]] = Batches(run, batch=batch, calls=detector.parallel)
    try:
        with (
            closing(ordered_map(read, paths, threads=count, ahead=2 * count, name="read")) as stream,
            closing(batches.results(stream)) as results,
        ):
            for item, result in results:
                if isinstance(item, Unreadable):
                    yield item
                elif result is not None:
                    yield result()
    finally:
        pool.shutdown(cancel_futures=True)


def check_rect(detector: AnyDetector, rect: bool | None) -> bool:
    """Whether canvases are trimmed to the images: as asked, by default wherever the network allows it.

    A Keras model is compiled anew for each canvas, so that there it is worth it only if it is asked for.

    Raises:
        ConfigError: trimming is asked for, but the network takes one canvas only, or images are stretched to it.
    """
    fault = None
    if detector.fixed_canvas:
        fault = "takes images of {}x{} alone".format(*detector.canvas)
    elif detector.letterbox == "stretch":
        fault = "stretches images to its whole input"
    if rect and fault:
        raise ConfigError(f"rect: this model {fault}; use --no-rect")
    return fault is None and isinstance(detector, RuntimeDetector) if rect is None else rect


def fitting(detector: AnyDetector, size: tuple[int, int], *, rect: bool) -> Letterbox:
    """Mapping of an image of (height, width) to the detector's canvas, with ``rect`` to as little of it as holds it."""
    letterbox = Letterbox(size, detector.canvas, detector.letterbox)
    return letterbox.trimmed(detector.stride) if rect else letterbox


def read_and_fit(path: Path, *, fit: Callable[[tuple[int, int]], Letterbox], keep_image: bool) -> Fitted[Item]:
    """Read an image file and put it on its canvas."""
    try:
        image = read_image(path)
    except MediaError as error:
        return Fitted(Unreadable(path, error))
    letterbox = fit((image.shape[0], image.shape[1]))
    canvas = letterbox.apply_exactly(image)
    kept = image if keep_image else None
    return Fitted(_Read(path, kept, letterbox), canvas, canvas.nbytes + (image.nbytes if keep_image else 0))


def run_batch(
    detector: AnyDetector,
    nms: NmsConfig | None,
    batch: Sequence[Fitted[Item]],
    *,
    finish: Callable[[_Read, Detections], Callable[[], Prediction]],
) -> list[Callable[[], Prediction]]:
    """Predictions of a batch of images on canvases of one size, to be waited for."""
    items = [each.item for each in batch if isinstance(each.item, _Read)]
    canvases = np.stack([each.canvas for each in batch if each.canvas is not None])
    kept = detector.find(canvases, nms)
    found = detector.unpad(kept, [item.letterbox for item in items], nms or detector.nms)
    return [finish(item, each) for item, each in zip(items, found, strict=True)]


def finished(
    finish: Finish | None, pool: ThreadPoolExecutor, item: _Read, found: Detections
) -> Callable[[], Prediction]:
    """Prediction of an image, finished in a thread of the pool; to be waited for."""
    if finish is None or item.image is None:
        return lambda: Prediction(item.path, found)
    return pool.submit(_finish, finish, item.path, item.image, found).result


def _finish(finish: Finish, path: Path, image: Image, found: Detections) -> Prediction:
    return Prediction(path, found, finish(path, image, found))
