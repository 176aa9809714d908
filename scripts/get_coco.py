"""Download COCO 2017, verify and unpack it: 20.4 GB, and as much again while unpacking.

    python scripts/get_coco.py --out coco                      # train2017, val2017 and the annotations
    python scripts/get_coco.py --out coco --split val2017      # 1.1 GB: enough to measure a detector

Run it again to resume interrupted downloads.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from yolo.errors import YoloError
from yolo.files.archives import install
from yolo.files.download import Remote

HOST = "http://images.cocodataset.org"
"""Plain http, as on COCO's own page; the checksums below hold either way."""
ANNOTATIONS = Remote(
    f"{HOST}/annotations/annotations_trainval2017.zip", 252_907_541, "f4bbac642086de4f52a3fdda2de5fa2c"
)
PICTURES = {
    "train2017": Remote(f"{HOST}/zips/train2017.zip", 19_336_861_798, "cced6f7f71b7629ddf16f17bbcfab6b2"),
    "val2017": Remote(f"{HOST}/zips/val2017.zip", 815_585_330, "442b8da7639aecaf257c1dceb8ba8c80"),
}


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the dataset")
    parser.add_argument("--split", nargs="+", choices=PICTURES, default=list(PICTURES), help="default: both")
    parser.add_argument("--keep", action="store_true", help="keep the archives after unpacking")
    parser.add_argument("--mirror", metavar="URL", help="address of another folder that has the archives")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Download the archives; return 0, or 2 for a fault, which is one line on stderr."""
    arguments = make_parser().parse_args(argv)
    try:
        for archive in (ANNOTATIONS, *(PICTURES[split] for split in arguments.split)):
            install(archive.at(arguments.mirror), arguments.out, keep=arguments.keep)
    except YoloError as error:
        print(f"get_coco: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(f"go on with: {next_command(arguments.out, arguments.split)}")
    return 0


def next_command(folder: Path, splits: Sequence[str]) -> str:
    """Command to try with the images that were downloaded."""
    if "train2017" not in splits:
        return f"yolov3 eval MODEL.keras {folder} --split val2017"
    return f"yolov3 train {folder} --split train2017" + (" --val val2017" if "val2017" in splits else "")


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.INFO)
    sys.exit(main())
