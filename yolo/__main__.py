"""`python -m yolo`: the same as `yolov3`."""

import sys

from yolo.cli.main import main

sys.exit(main())
