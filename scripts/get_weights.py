"""Download published weights and verify them.

    python scripts/get_weights.py yolov3-tiny-coco             # into the cache, where --weights finds it by name
    python scripts/get_weights.py yolov3-coco --out weights    # into a folder
    python scripts/get_weights.py --list

The cache is $YOLO_CACHE, else ~/.cache/yolov3-keras. Interrupted downloads are resumed.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from yolo.errors import YoloError
from yolo.weights.published import PUBLISHED, cache_folder, fetch_published, published_file


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PUBLISHED))
    parser.add_argument("--out", type=Path, help="folder to download into (default: the cache)")
    parser.add_argument("--mirror", metavar="URL", help="address of another folder that has the files")
    parser.add_argument("--list", action="store_true", help="show what there is and download nothing")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Download or list weights; return 0, or 2 for a fault, which is one line on stderr."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    if not arguments.list and not arguments.names:
        parser.error(f"name some weights: {', '.join(PUBLISHED)}")
    try:
        if arguments.list:
            show()
        else:
            get(arguments.names, arguments.out, arguments.mirror)
    except YoloError as error:
        print(f"get_weights: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def show() -> None:
    """Print a line for each of the published weights."""
    for name, weights in PUBLISHED.items():
        checked = f"SHA-256 {weights.sha256}" if weights.sha256 else "SHA-256 not published: as on its first use"
        print(f"{name:<18} {weights.size / 1e6:>6.1f} MB  {weights.url}  {checked}")
    print(f"cache: {cache_folder()}")


def get(names: Sequence[str], out: Path | None, mirror: str | None) -> None:
    """Download each, print its path, and at the end how to use it."""
    for name in names:
        path = published_file(name, mirror=mirror) if out is None else fetch_published(name, out, mirror=mirror)
        print(f"{name}: {path}")
    weights = names[-1] if out is None else path
    print(f"go on with: yolov3 train DATA --model {PUBLISHED[names[-1]].model} --weights {weights}")


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.INFO)
    sys.exit(main())
