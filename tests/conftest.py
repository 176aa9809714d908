"""Fixtures and settings of all tests."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from yolo.system.used_memory import resident_memory

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# JAX compiles each small network for longer than it runs it.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

GROWTH = 200_000_000
"""Bytes by which the memory of a process grows between two collections of garbage."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that the last one to begin is soon at its end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and outside references; tests that use it are skipped without it."""
    folder = os.environ.get("YOLO_SHARED")
    if not folder or not (Path(folder) / "data").is_dir():
        pytest.skip("YOLO_SHARED does not name the folder of outside references")
    return Path(folder).resolve()  # tests run commands in other folders


@pytest.fixture(scope="session", autouse=True)
def own_cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests leave nothing in the user's cache folder, and convert a network for a runtime once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YOLO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


class Memory:
    """Resident memory of the process when it was last given back, in bytes."""

    held = 0


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    """A process gives back what networks have left: they lie in cycles, which Python seldom looks for."""
    yield
    if resident_memory() - Memory.held > GROWTH:
        gc.collect()
        if sys.platform.startswith("linux"):
            with suppress(OSError, AttributeError):  # musl
                ctypes.CDLL("libc.so.6").malloc_trim(0)
        Memory.held = resident_memory()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What a command of one test lets be logged is not logged in the next."""
    logger = logging.getLogger("yolo")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture(autouse=True)
def float32() -> Iterator[None]:
    """The precision that a command has chosen in one test is not that of the next."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].config.set_dtype_policy("float32")
