"""Report at the end of a run, and the description of where its figures come from at its beginning."""

from __future__ import annotations

import logging

import numpy as np

from yolo.report.about import describe, write_about
from yolo.report.folder import content_of
from yolo.report.report import write_report
from yolo.training.run.run import Run

logger = logging.getLogger(__name__)


def describe_run(run: Run) -> None:
    """Write the command, the model and the machine into the folder of a run that begins."""
    if run.folder is None or not run.config.report or not run.devices.hosts.first:
        return
    height, width = run.detector.canvas
    model = {"network": run.detector.variant, "input": f"{width} x {height}", "batch": run.batch}
    write_about(run.folder.path, describe(model=model))


def write_run_report(run: Run) -> None:
    """Write the report of a finished run into its folder; a fault is a warning, as the run has succeeded."""
    if run.folder is None or not run.config.report or not run.devices.hosts.first:
        return
    try:
        missing = run.left_out.entries()
        read = np.array([index for index in range(len(run.validation)) if index not in missing], np.int64)
        validation = run.validation.subset(read) if len(missing) else run.validation
        content = content_of(
            run.folder.path,
            title=f"{run.detector.variant} on {run.dataset.name}",
            metrics=run.state.metrics,
            dataset=validation,
            parts={run.dataset.split or "train": run.dataset, run.validation.split or "val": run.validation},
            anchors=run.detector.anchors,
            canvas=run.detector.canvas,
        )
        logger.info("report: %s", write_report(run.folder.path, content))
    except Exception as error:
        logger.warning("%s: the report could not be made (%s)", run.folder.path, error)
