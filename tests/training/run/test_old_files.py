"""Models, run folders and checkpoints of version 0.1.0, made before the modules moved, still load and resume."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import yolo
from yolo.training.run.checkpoint import Checkpoints

OLD = Path(__file__).parents[2] / "fixtures" / "0.1.0"
"""A run of 4 epochs of 3 steps on 8 pictures: `run` and `digits`; `raw.npz` is what best.keras gave for noise."""


def test_an_old_model_gives_the_maps_it_gave():
    noise = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3)).astype(np.float32)
    with np.load(OLD / "raw.npz") as expected:
        (maps,) = yolo.load(OLD / "run" / "best.keras")(noise)
        np.testing.assert_allclose(maps, expected["maps"], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_an_old_run_resumes_and_ends_where_it_ended(tmp_path):
    folder = shutil.copytree(OLD / "run", tmp_path / "run")
    end = Checkpoints(folder).latest()
    (folder / "checkpoints" / "step-000000012.npz").unlink()
    assert Checkpoints(folder).latest().step == 10
    dataset, validation = (yolo.load_dataset(OLD / "digits", split) for split in ("train", "val"))
    yolo.resume(folder, dataset, validation=validation, keep_checkpoints=True)
    found = Checkpoints(folder).latest()
    assert found.step == end.step == 12
    assert set(found.arrays) == set(end.arrays)
    for name, array in end.arrays.items():
        # Other processors round in another order: what must be alike is the state, not its last bits.
        np.testing.assert_allclose(found.arrays[name], array, rtol=1e-3, atol=1e-4, err_msg=name)
