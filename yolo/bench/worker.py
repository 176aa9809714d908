"""Process of one candidate: loads the detector and measures it when asked, a JSON object a line each way.

It ends with its parent: when the pipe of requests is closed, even by kill -9, it leaves at once.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import IO, Any

from yolo.bench.candidate_detector import CandidateDetector
from yolo.bench.int8_file import export_int8
from yolo.errors import YoloError


class Said(logging.Handler):
    """Collects the warnings of the package, which the parent prints."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def take(self) -> list[str]:
        """Take the lines since the last time."""
        lines, self.lines = self.lines, []
        return lines


def main() -> None:
    """Answer requests on stdin until it is closed."""
    replies = own_stdout()
    said = Said()
    logging.getLogger("yolo").addHandler(said)
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=read_requests, args=(requests,), daemon=True).start()
    candidate: CandidateDetector | None = None
    while True:
        request = requests.get()
        name, arguments = request["do"], request["with"]
        if name == "load":
            reply, candidate = answer(partial(CandidateDetector, **arguments))
        elif name == "export":
            reply, _ = answer(partial(export_int8, **arguments))
        else:
            reply, _ = answer(partial(getattr(candidate, name), **arguments))
        print(json.dumps({**reply, "said": said.take()}), file=replies, flush=True)


def answer(call: Callable[[], Any]) -> tuple[dict[str, Any], Any]:
    """Make the reply to a request: the result if it is plain data, or the reason of a failure."""
    try:
        result = call()
    except YoloError as error:
        return {"failed": str(error)}, None
    except Exception as error:  # whatever a runtime raises is the reason in this candidate's row
        return {"failed": f"{type(error).__name__}: {error}"}, None
    return {"result": result if isinstance(result, dict) else {}}, result


def own_stdout() -> IO[str]:
    """Keep stdout for the replies, and send all that libraries print there to stderr."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return replies


def read_requests(requests: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Read requests as they come; without a parent, end the process."""
    for line in sys.stdin:
        requests.put(json.loads(line))
    if hasattr(os, "killpg") and os.getpid() == os.getpgrp():
        os.killpg(0, signal.SIGKILL)  # with all that it has started
    os._exit(1)


if __name__ == "__main__":
    main()
