"""Supervisor of a host in a distributed run: starts the training process and watches it and the other hosts.

The training process cannot do this itself: when another host is lost it hangs in a collective operation, or JAX
aborts it (SIGABRT), without a message that names the host.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from yolo.distributed.launchers import Cluster
from yolo.distributed.rendezvous import BEAT_SECONDS, SILENT_SECONDS, Link, gather_hosts, receive
from yolo.system.signal_handlers import stop_signal_handler

logger = logging.getLogger(__name__)

BACKEND_LOG = "YOLOV3_BACKEND_LOG"
"""Environment variable of the training process: file that receives the output of the backend's C++ code."""
OWN_END_SECONDS = 10.0
"""Time the training process is given to end by itself after another host's ended with an error it reported."""
LOST_SECONDS = 1.0
"""Time the training process is given after a host was lost: its collective operations would never end."""
REPORTED = (2, 130, 143)
"""Exit codes after which the training process has already printed the reason: a YoloError, Ctrl-C, SIGTERM."""
LOG_LINES = 5
"""Last lines of the backend's log that are shown when the backend has aborted the process."""
POLL_SECONDS = 0.2


def supervised() -> bool:
    """Whether this is the training process of a host rather than its supervisor."""
    return BACKEND_LOG in os.environ


def supervise(cluster: Cluster, arguments: Sequence[str], *, timeout: float, advice: str) -> int:
    """Train as one host of a distributed run, in a child process.

    Args:
        cluster: hosts of the run.
        arguments: command line of the training process, without the program's name.
        timeout: seconds to wait for the other hosts.
        advice: how to resume after a host was lost; ends the messages.

    Returns:
        The exit code of the training process, or 1 when a host was lost.

    Raises:
        ConfigError: hosts are missing; their ranks are named.
    """
    links = gather_hosts(cluster, timeout)
    with tempfile.TemporaryDirectory() as folder:
        backend_log = Path(folder) / "backend.log"
        backend_log.touch()
        child = subprocess.Popen(
            [sys.executable, "-m", "yolo", *arguments],
            env={**os.environ, BACKEND_LOG: str(backend_log)},
            stdin=subprocess.PIPE,  # closed when this process ends, even by kill -9
            start_new_session=True,  # Ctrl-C reaches it once, through this process
        )
        with stop_signal_handler(child.send_signal):  # it saves a checkpoint and ends
            try:
                return Watch(cluster, links, child, backend_log, advice).run()
            finally:
                child.kill()
                child.wait()
                for link in links:
                    link.close()


class Watch:
    """Loop that waits for the training process to end, or for another host to fail.

    Args:
        cluster: hosts of the run.
        links: links to the other hosts (on rank 0), or to rank 0.
        child: training process.
        backend_log: file with the output of its C++ code.
        advice: how to resume after a host was lost.
    """

    def __init__(
        self, cluster: Cluster, links: list[Link], child: subprocess.Popen[bytes], backend_log: Path, advice: str
    ):
        self.cluster, self.links, self.child, self.advice = cluster, links, child, advice
        self.backend_log = backend_log
        self.done: set[int] = set()
        """Ranks that have finished, or whose failure has been reported."""
        self.failure = ""
        """First failure of another host; empty: none."""
        self.deadline = float("inf")
        """Time at which the training process is no longer waited for."""
        self._beaten = 0.0

    def run(self) -> int:
        """Watch until the training process ends or a host fails; returns the exit code."""
        code = None
        for link in self.links:  # hosts that joined early sent nothing while waiting: restart their timeouts
            link.heard = time.monotonic()
        while (code := self.child.poll()) is None and time.monotonic() < self.deadline:
            self.beat()
            for link, message in receive(self.links, POLL_SECONDS):
                self.handle(link, message)
            self.check_heartbeats()
        if self.failure and code not in REPORTED:
            logger.error("%s; %s", self.failure, self.advice)
            return 1
        if code:
            self.send_all({"ended": self.cluster.rank, "why": describe_end(code), "code": code})
        else:
            self.send_all({"done": self.cluster.rank})
        return self.end(code or 0)

    def end(self, code: int) -> int:
        """Log how the training process has ended by itself, unless it did so; returns this process's exit code."""
        if code not in (0, *REPORTED):
            last = self.backend_log.read_text(errors="replace").splitlines()[-LOG_LINES:]
            for line in last if code < 0 and code != -signal.SIGKILL else []:
                logger.error("%s", line)
            who = f"rank {self.cluster.rank}: the training process"
            logger.error("%s %s; %s", who, describe_end(code), self.advice)
        return 1 if code < 0 else code

    def beat(self) -> None:
        """Send a heartbeat if one is due."""
        if time.monotonic() - self._beaten > BEAT_SECONDS:
            self.send_all({"beat": self.cluster.rank})
            self._beaten = time.monotonic()

    def send_all(self, message: dict[str, object]) -> None:
        """Send a message on every open link."""
        for link in self.links:
            if link.open:
                link.send(message)

    def handle(self, link: Link, message: dict[str, object] | None) -> None:
        """Handle a message of another host, or (None) the end of its connection."""
        if message is None:
            if link.rank not in self.done:
                self.host_lost(link, "its connection has ended")
        elif "done" in message:
            self.done.add(link.rank)
        elif "ended" in message:
            seconds = OWN_END_SECONDS if message.get("code") in REPORTED else LOST_SECONDS
            self.record_failure(f"rank {message['ended']} {message['why']}", message, seconds)

    def check_heartbeats(self) -> None:
        """Treat silent hosts as lost: a machine that crashed does not close its connections."""
        for link in self.links:
            if link.open and time.monotonic() - link.heard > SILENT_SECONDS:
                link.close()
                self.host_lost(link, f"nothing was heard from it for {SILENT_SECONDS:g} s")

    def host_lost(self, link: Link, reason: str) -> None:
        """Record that a host has disappeared without a message."""
        who = f"rank {link.rank} ({link.name})"
        message = {"ended": link.rank, "why": f"({link.name}) is lost: {reason}", "code": -signal.SIGKILL}
        self.record_failure(f"{who} is lost: {reason}", message, LOST_SECONDS)

    def record_failure(self, failure: str, message: dict[str, object], seconds: float) -> None:
        """Remember the first failure of another host and give the training process some seconds; rank 0 forwards it."""
        if not self.failure:
            self.failure, self.deadline = failure, time.monotonic() + seconds
            self.done.add(int(str(message["ended"])))
            if self.cluster.rank == 0:
                self.send_all(message)


def describe_end(code: int) -> str:
    """Describe an exit code; negative ones are signals."""
    if code == -signal.SIGKILL:
        return "was killed, perhaps because the memory was full"
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


def redirect_backend_output(file: Path) -> None:
    """Send the output of C++ code to a file; Python's stdout and stderr stay where they are."""
    sys.stdout, sys.stderr = (os.fdopen(os.dup(number), "w", buffering=1) for number in (1, 2))
    with file.open("a") as log:
        for number in (1, 2):
            os.dup2(log.fileno(), number)


def end_with_parent() -> None:
    """End this process when its supervisor is gone, which closes the pipe at stdin."""
    while os.read(0, 1):
        pass
    os._exit(1)


def run_supervised(main: Callable[[], int]) -> NoReturn:
    """Run the command line as the training process, then exit without waiting for hosts that may be lost."""
    redirect_backend_output(Path(os.environ[BACKEND_LOG]))
    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        code = main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
