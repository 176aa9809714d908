"""`python -m yolo`: the same as `yolov3`; also how the training process of one of several hosts is started."""

import sys

from yolo.cli.main import main
from yolo.distributed.supervisor import run_supervised, supervised

if __name__ == "__main__":
    if supervised():
        run_supervised(main)
    sys.exit(main())
