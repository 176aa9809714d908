"""`yolov3 data digits OUT`: makes a dataset that needs no download, to try everything on."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from yolo.cli.common import prepare_output
from yolo.config import check
from yolo.files.atomic import to_json
from yolo.structs import counted


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("out", type=str, help="new folder, in the layout of VOC")
    parser.add_argument("--train", type=int, default=800, help="number of images in the split train")
    parser.add_argument("--val", type=int, default=120, help="number of images in the split val, of other digits")
    parser.add_argument("--size", type=int, default=160, help="side of an image in pixels")
    parser.add_argument("--seed", type=int, default=0, help="random seed; the same one gives the same bytes")
    parser.add_argument("--force", action="store_true", help="write into a folder that is not empty")
    parser.add_argument("--json", action="store_true", help="print the results alone, as one JSON object, on stdout")


def run(arguments: Namespace) -> None:
    check(arguments.train > 0, "train", "> 0", arguments.train)
    check(arguments.val >= 0, "val", ">= 0", arguments.val)
    check(32 <= arguments.size <= 4096, "size", "in 32..4096", arguments.size)
    check(0 <= arguments.seed < 2**32, "seed", "in 0..2**32 - 1", arguments.seed)
    folder = prepare_output(arguments.out, force=arguments.force)
    from yolo.datasets.digits import CLASSES, make_digits

    counts = {"train": arguments.train, "val": arguments.val}
    make_digits(folder, **counts, size=arguments.size, seed=arguments.seed)
    if arguments.json:
        print(to_json({"folder": str(folder), "pictures": counts, "classes": list(CLASSES)}))
    else:
        parts = ", ".join(f"{split} {counted(count, 'picture')}" for split, count in counts.items())
        print(f"{folder}: {parts}, of {len(CLASSES)} classes")
