"""Suggestions for unknown options and commands: the nearest name here, or the one for another tool's name."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

OPTIONS: dict[str, tuple[str, ...]] = {
    "augmentations": ("--augment.albumentations",),
    "amp": ("--precision",),
    "backend": ("--devices",),
    "batch-size": ("--batch",),
    "bs": ("--batch",),
    "checkpoint": ("WEIGHTS", "--weights", "--resume"),
    "close-mosaic": ("--augment.plain-end",),
    "conf-thres": ("--conf",),
    "conf-threshold": ("--conf",),
    "confidence": ("--conf",),
    "cos-lr": ("--schedule",),
    "data": ("DATA",),
    "dataset": ("DATA",),
    "degrees": ("--augment.rotate",),
    "device": ("--devices",),
    "dir": ("--out",),
    "dropout": ("--weight-decay",),
    "exist-ok": ("--force",),
    "fl-gamma": ("--loss.focal-gamma",),
    "fliplr": ("--augment.flip",),
    "fp16": ("--precision",),
    "gpu": ("--devices",),
    "gpus": ("--devices",),
    "grad-accum": ("--accumulate",),
    "half": ("--precision",),
    "hsv-h": ("--augment.hue",),
    "hsv-s": ("--augment.saturation",),
    "hsv-v": ("--augment.brightness",),
    "hyp": ("--config",),
    "image-size": ("--size",),
    "img": ("--size",),
    "img-size": ("--size",),
    "imgsz": ("--size",),
    "input": ("SOURCE", "DATA"),
    "input-size": ("--size",),
    "iou-thres": ("--iou",),
    "iou-threshold": ("--iou",),
    "lr": ("--learning-rate",),
    "lr0": ("--learning-rate",),
    "lrf": ("--final-rate",),
    "max-epochs": ("--epochs",),
    "model": ("WEIGHTS", "--weights"),
    "name": ("--out",),
    "nms-thres": ("--iou",),
    "num-epochs": ("--epochs",),
    "num-workers": ("--workers",),
    "optim": ("--optimizer",),
    "output": ("--out",),
    "output-dir": ("--out",),
    "pretrained": ("--weights",),
    "project": ("--out",),
    "random-seed": ("--seed",),
    "save-dir": ("--out",),
    "save-period": ("--save-every",),
    "score-thr": ("--conf",),
    "source": ("SOURCE", "DATA"),
    "threads": ("--workers",),
    "wd": ("--weight-decay",),
    "weights": ("WEIGHTS",),
    "world-size": ("--world",),
}
"""Options of other tools, and their equivalents here; the first that a command has is suggested."""

COMMANDS = {
    "benchmark": "bench",
    "fit": "train",
    "infer": "detect",
    "inference": "detect",
    "kmeans": "anchors",
    "predict": "detect",
    "search": "tune",
    "summary": "info",
    "test": "eval",
    "val": "eval",
    "validate": "eval",
}
"""Commands of other tools, and their equivalents here."""


def suggest_command(name: str, commands: Collection[str]) -> str:
    """End of the message about an unknown command: ``; did you mean train?``, or empty."""
    near = [COMMANDS[name]] if name in COMMANDS else get_close_matches(name, commands, 1, cutoff=0.65)
    return f"; did you mean {near[0]}?" if near else ""


def suggest_option(option: str, options: Iterable[str], positionals: Iterable[str]) -> str:
    """End of the message about an unknown option: a suggestion, or empty.

    Args:
        option: the option as typed, with dashes.
        options: options of the command, with dashes.
        positionals: names of its arguments, such as ``DATA``.
    """
    name, known = option.lstrip("-").lower(), {*options, *positionals}
    target = next((each for each in OPTIONS.get(name, ()) if each in known), None) or nearest(name, options)
    if target is None:
        return ""
    if target in set(positionals):
        return f"; {target} is given without an option's name"
    return f"; did you mean {target}?"


def nearest(name: str, options: Iterable[str]) -> str | None:
    """Option spelt most like a name, which may lack its group (``mosaic`` of ``--augment.mosaic``)."""
    spellings: dict[str, str] = {}
    for option in options:
        whole = option.lstrip("-")
        spellings.setdefault(whole.rpartition(".")[2], option)
        spellings[whole] = option
    longer = [spelling for spelling in spellings if spelling.startswith(name)] if len(name) > 2 else []
    near = get_close_matches(name, spellings, 1, cutoff=0.65)
    return next((spellings[each] for each in [*longer, *near]), None)
