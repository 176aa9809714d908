"""Sanity of activation maps on the digits: mass inside the box, and maps of a network with shuffled weights.

    yolov3 demo --scenes 300 --epochs 5 --out demo
    python scripts/study_explain.py demo

Prints the tables of docs/explain.md: by method and by choice of layers, the share of a map that lies inside the true
box of a right detection, against the box's share of the picture and a centre prior; how often the largest value lies
inside (the pointing game, Zhang et al. 2018); and the rank correlation with the map of the same slot in the same
network with the weights of each layer shuffled (Adebayo et al. 2018).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import yolo
from yolo.explaining.class_activation import mass_inside
from yolo.explaining.explain import Floats, Gradients, activation_maps, slot_gradients, traced_at
from yolo.explaining.layers import default_layers, layer_outputs
from yolo.explaining.look import Look, look_at

PICTURES = 40
Values = tuple[list[Floats], Gradients]
"""Activations of layers, and the gradients of a slot's numbers with respect to them."""


@dataclass(frozen=True)
class Case:
    """A right detection: its slot, its class and the true box."""

    slot: int
    label: int
    box: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("demo", type=Path, help="folder of `yolov3 demo`")
    parser.add_argument("--pictures", type=int, default=PICTURES, help="number of validation pictures")
    arguments = parser.parse_args()
    detector, other = (yolo.load(arguments.demo / "run") for _ in range(2))
    shuffle(other)
    dataset = yolo.load_dataset(arguments.demo / "digits", split="val")
    stages = default_layers(detector)
    heads = {id(head.input) for head in detector.heads}
    before_heads = [name for name, output in layer_outputs(detector.network).items() if id(output) in heads]
    names = [*stages, *before_heads]
    choices = {"default": stages, "with heads": names, "before heads": before_heads, **{name: [name] for name in names}}
    plan = [(method, "default") for method in ("layercam", "gradcam++", "eigencam")]
    plan += [("layercam", choice) for choice in choices if choice != "default"]
    rows = {(method, choice, kind): [] for method, choice in plan for kind in ("class", "box")}
    priors = []
    for index in range(min(arguments.pictures, len(dataset))):
        look, strange = (look_at(each, dataset.image(index), detector.nms) for each in (detector, other))
        cases = list(right_ones(look, dataset[index]))
        priors += [prior(look, case) for case in cases]
        for case, own, shuffled in gradients_of(look, strange, cases, names):
            for method, choice in plan:
                chosen = [names.index(name) for name in choices[choice]]
                maps, others = (
                    activation_maps(each, case.label, method, *part_of(one, chosen))
                    for each, one in ((look, own), (strange, shuffled))
                )
                for kind, heat, odd in zip(("class", "box"), maps, others, strict=True):
                    box, rank = case.box.tolist(), rank_correlation(heat, odd)
                    values = (mass_inside(heat, box), points(heat, case.box), mass_inside(odd, box), rank)
                    rows[method, choice, kind].append(values)
    print(f"{len(priors)} right detections; layers: {', '.join(names)}")
    area, centre, pointing = np.mean(priors, axis=0)
    print(f"box's share of the picture {area:.3f}; centre prior: mass {centre:.3f}, pointing {pointing:.3f}")
    print("| method | layers | map | inside | pointing | shuffled: inside | rank correlation |")
    print("|---|---|---|---|---|---|---|")
    for (method, choice, kind), values in rows.items():
        known = np.array(values)[~np.isnan(values).any(axis=1)]  # without those that do not depend on the layers
        if len(known):
            cells = " | ".join(f"{mean:.2f}" for mean in known.mean(axis=0))
            print(f"| {method} | {choice} | {kind} | {cells} |")


def shuffle(detector: yolo.Detector, seed: int = 0) -> None:
    """Permute the weights of every array among themselves."""
    random = np.random.default_rng(seed)
    detector.set_weights([random.permutation(each.ravel()).reshape(each.shape) for each in detector.get_weights()])


def right_ones(look: Look, sample: yolo.Sample) -> Iterator[Case]:
    """Detections of the right class with an IoU of at least 0.5 with a true box."""
    for row, found in zip(look.rows, look.detections, strict=True):
        for box, label in zip(sample.boxes, sample.labels, strict=True):
            if label == found.label and iou(box, found.box) >= 0.5:
                yield Case(int(look.verdicts.slots[row]), found.label, box)
                break


def iou(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
    areas = [np.prod(each[2:] - each[:2]) for each in (a, b)]
    return float(np.prod(sides) / (sum(areas) - np.prod(sides)))


def gradients_of(
    look: Look, strange: Look, cases: Sequence[Case], names: Sequence[str]
) -> Iterator[tuple[Case, Values, Values]]:
    """Activations and gradients of each case in both networks."""
    traces = [(each, traced_at(each, names)) for each in (look, strange)]
    for case in cases:
        own, other = ((t.activations, slot_gradients(each, case.slot, case.label, t)) for each, t in traces)
        yield case, own, other


def part_of(values: Values, chosen: Sequence[int]) -> Values:
    """Activations and gradients of some of the layers."""
    activations, gradients = values
    return (
        [activations[index] for index in chosen],
        {number: [own[index] for index in chosen] for number, own in gradients.items()},
    )


def points(heat: np.ndarray, box: np.ndarray) -> float:
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    return float(box[0] <= x + 0.5 <= box[2] and box[1] <= y + 0.5 <= box[3])


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of two maps where either is above 0; NaN if one is the same everywhere there.

    Elsewhere both are 0 because the slot cannot see so far, whatever its weights.
    """
    seen = (a > 0) | (b > 0)
    ranks = [ranked(each[seen]) for each in (a, b)]
    if not seen.any():
        return float("nan")
    if min(each.std() for each in ranks) == 0:
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def ranked(values: np.ndarray) -> np.ndarray:
    """Ranks, the mean of its places for each of several equal values."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[inverse]


def prior(look: Look, case: Case) -> tuple[float, float, float]:
    """Box's share of the picture, share of a centred Gaussian in it, and whether it holds the picture's middle."""
    height, width = look.picture.shape[:2]
    y, x = np.mgrid[:height, :width] + 0.5
    gaussian = np.exp(-(((x / width - 0.5) / 0.25) ** 2 + ((y / height - 0.5) / 0.25) ** 2) / 2)
    flat = np.ones((height, width), np.float32)
    box = case.box.tolist()
    return mass_inside(flat, box), mass_inside(gaussian.astype(np.float32), box), points(gaussian, case.box)


if __name__ == "__main__":
    main()
