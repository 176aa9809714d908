"""Worker process of a candidate, seen from the benchmark."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from yolo.errors import YoloError

CODE = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from yolo.bench.worker import main; main()"
"""Program of a worker: it finds the modules that this process finds, whatever lies in the working directory."""


class WorkerError(YoloError):
    """Failure of one candidate; the message is the reason in its row."""


class Worker:
    """Process that answers one request at a time; a context manager that ends it.

    It is in a session of its own: Ctrl-C reaches this process alone, which ends it.
    """

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        self.said: list[str] = []
        """Warnings of the package in this process."""
        paths = [path or str(Path.cwd()) for path in sys.path]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", CODE, json.dumps(paths)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            start_new_session=True,
            env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ},
        )
        self._requests: Any = self._process.stdin
        self._replies: Any = self._process.stdout

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Have the worker do something, and wait for the result.

        Args:
            name: ``load``, ``export`` (an int8 file), or a method of `CandidateDetector`.
            **arguments: its arguments.

        Raises:
            WorkerError: it failed, or the process died.
        """
        line = ""
        with suppress(BrokenPipeError):
            self._requests.write(json.dumps({"do": name, "with": arguments}) + "\n")
            self._requests.flush()
            line = self._replies.readline()
        if not line:
            raise WorkerError(self._death())
        reply: dict[str, Any] = json.loads(line)
        self.said += reply["said"]
        if "failed" in reply:
            raise WorkerError(" ".join(reply["failed"].split()))
        return dict(reply["result"])

    def close(self) -> None:
        """End the process, and all that it has started: converters leave some behind."""
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)  # of its session; it keeps nothing that has to be saved
            else:
                self._process.kill()
        self._process.wait()
        for file in (self._requests, self._replies, self._errors):
            with suppress(OSError):
                file.close()

    def _death(self) -> str:
        """Reason why the process has died: its last words, or the signal that ended it."""
        code = self._process.wait()
        self._errors.seek(0)
        words = self._errors.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(words) if line.strip()), "")
        if code == -signal.SIGKILL:
            return "its process was killed; probably for want of memory"
        return f"its process ended with code {code}" + (f" ({last:.200})" if last else "")
