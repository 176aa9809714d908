"""Download Pascal VOC 2007 and 2012, verify and unpack them: 2.9 GB, and as much again while unpacking.

    python scripts/get_voc.py --out voc               # both years, as most results are trained: 07+12
    python scripts/get_voc.py --out voc --year 2007

Run it again to resume interrupted downloads. The annotations of the test set of 2012 are not published.
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

HOST = "http://host.robots.ox.ac.uk/pascal/VOC"
ARCHIVES = {
    "2007": (
        Remote(f"{HOST}/voc2007/VOCtrainval_06-Nov-2007.tar", 460_032_000, "c52e279531787c972589f7e41ab4ae64"),
        Remote(f"{HOST}/voc2007/VOCtest_06-Nov-2007.tar", 451_020_800, "b6e924de25625d8de591ea690078ad9f"),
    ),
    "2012": (Remote(f"{HOST}/voc2012/VOCtrainval_11-May-2012.tar", 1_999_639_040, "6cd6e144f989b92b3379bac3b3de84fd"),),
}
"""Archives by year; the checksums are those that torchvision publishes."""


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder in which VOCdevkit is made")
    parser.add_argument("--year", nargs="+", choices=ARCHIVES, default=list(ARCHIVES), help="default: both")
    parser.add_argument("--keep", action="store_true", help="keep the archives after unpacking")
    parser.add_argument("--mirror", metavar="URL", help="address of another folder that has the archives")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Download the archives; return 0, or 2 for a fault, which is one line on stderr."""
    arguments = make_parser().parse_args(argv)
    try:
        for archive in (archive for year in arguments.year for archive in ARCHIVES[year]):
            install(archive.at(arguments.mirror), arguments.out, keep=arguments.keep)
    except YoloError as error:
        print(f"get_voc: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    # Only 2007 has a public test set; with it, everything else can be used for training.
    splits = "--split trainval --val test" if "2007" in arguments.year else "--split train --val val"
    print(f"go on with: yolov3 train {arguments.out / 'VOCdevkit'} {splits}")
    return 0


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.INFO)
    sys.exit(main())
