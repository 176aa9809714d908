"""One host of several: a small process that starts the training one and watches it and the other hosts.

A process that trains cannot do that by itself: when another host is gone it hangs in a collective operation, or JAX
ends it on the spot.
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
from yolo.distributed.rendezvous import BEAT_SECONDS, SILENT_SECONDS, Link, gather_hosts, listen
from yolo.system.signal_handlers import stop_signal_handler

logger = logging.getLogger(__name__)

CHATTER = "YOLOV3_CHATTER"
"""Environment variable of a training process: the file for what the backend's C++ parts print."""
OWN_END_SECONDS = 10.0
"""So long a training process may take to end by itself when another has ended with an error."""
LOST_SECONDS = 1.0
"""The same when another host is lost: then it only waits in vain."""
TELLING = (2, 130, 143)
"""Exit codes of a process that has said itself why it ends: the user's fault, Ctrl-C, SIGTERM."""
LAST_WORDS = 5
"""Lines of the backend's own that are shown when it has ended the process."""
POLL_SECONDS = 0.2


def supervised() -> bool:
    """Whether this is the training process of a host, and not the one that watches over it."""
    return CHATTER in os.environ


def supervise(cluster: Cluster, arguments: Sequence[str], *, timeout: float, advice: str) -> int:
    """Train as one of several hosts.

    Args:
        cluster: of which hosts.
        arguments: of the command line, without the program's name.
        timeout: seconds to wait for the others.
        advice: how to go on when one of them is lost.

    Returns:
        The exit code: that of the training process, or 1 when a host is lost.

    Raises:
        ConfigError: some hosts are missing, which are named.
    """
    links = gather_hosts(cluster, timeout)
    with tempfile.TemporaryDirectory() as folder:
        chatter = Path(folder) / "chatter"
        chatter.touch()
        child = subprocess.Popen(
            [sys.executable, "-m", "yolo", *arguments],
            env={**os.environ, CHATTER: str(chatter)},
            stdin=subprocess.PIPE,  # closed when this process ends, however it does
            start_new_session=True,  # Ctrl-C comes through this process, and so but once
        )
        with stop_signal_handler(child.send_signal):  # it saves a checkpoint and ends
            try:
                return Watch(cluster, links, child, chatter, advice).run()
            finally:
                child.kill()
                child.wait()
                for link in links:
                    link.close()


class Watch:
    """Waits for the end of the training process or for bad news.

    Args:
        cluster: of which hosts.
        links: to the others (of the first host), or to the first.
        child: the training process.
        chatter: the file with what its C++ parts print.
        advice: how to go on.
    """

    def __init__(self, cluster: Cluster, links: list[Link], child: subprocess.Popen[bytes], chatter: Path, advice: str):
        self.cluster, self.links, self.child, self.chatter, self.advice = cluster, links, child, chatter, advice
        self.done: set[int] = set()
        """Ranks that have ended well."""
        self.trouble = ""
        """What has happened to another host; empty: nothing."""
        self.deadline = float("inf")
        """When the training process has to have ended."""
        self._beaten = 0.0

    def run(self) -> int:
        """The exit code."""
        code = None
        for link in self.links:  # who had come early had nothing to say until the last one was there
            link.heard = time.monotonic()
        while (code := self.child.poll()) is None and time.monotonic() < self.deadline:
            self.beat()
            for link, message in listen(self.links, POLL_SECONDS):
                self.hear(link, message)
            self.notice_silence()
        if self.trouble and code not in TELLING:
            logger.error("%s; %s", self.trouble, self.advice)
            return 1
        if code:
            self.tell({"ended": self.cluster.rank, "why": describe_end(code), "code": code})
        else:
            self.tell({"done": self.cluster.rank})
        return self.end(code or 0)

    def end(self, code: int) -> int:
        """The exit code after the training process has ended by itself."""
        if code not in (0, *TELLING):
            last = self.chatter.read_text(errors="replace").splitlines()[-LAST_WORDS:]
            for line in last if code < 0 and code != -signal.SIGKILL else []:
                logger.error("%s", line)
            who = f"rank {self.cluster.rank}: the training process"
            logger.error("%s %s; %s", who, describe_end(code), self.advice)
        return 1 if code < 0 else code

    def beat(self) -> None:
        """Say that this host is there."""
        if time.monotonic() - self._beaten > BEAT_SECONDS:
            self.tell({"beat": self.cluster.rank})
            self._beaten = time.monotonic()

    def tell(self, message: dict[str, object]) -> None:
        for link in self.links:
            if link.open:
                link.say(message)

    def hear(self, link: Link, message: dict[str, object] | None) -> None:
        """Take note of what another host says, or of its end."""
        if message is None:
            if link.rank not in self.done:
                self.lose(link, "its connection has ended")
        elif "done" in message:
            self.done.add(link.rank)
        elif "ended" in message:
            tells = message.get("code") in TELLING
            seconds = OWN_END_SECONDS if tells else LOST_SECONDS
            self.note(f"rank {message['ended']} {message['why']}", message, seconds)

    def notice_silence(self) -> None:
        """A machine that is gone ends no connection."""
        for link in self.links:
            if link.open and time.monotonic() - link.heard > SILENT_SECONDS:
                link.close()
                self.lose(link, f"nothing was heard from it for {SILENT_SECONDS:g} s")

    def lose(self, link: Link, reason: str) -> None:
        """A host is gone without a word."""
        who = f"rank {link.rank} ({link.name})"
        message = {"ended": link.rank, "why": f"({link.name}) is lost: {reason}", "code": -signal.SIGKILL}
        self.note(f"{who} is lost: {reason}", message, LOST_SECONDS)

    def note(self, trouble: str, message: dict[str, object], seconds: float) -> None:
        """Remember the first bad news, and pass it on."""
        if not self.trouble:
            self.trouble, self.deadline = trouble, time.monotonic() + seconds
            self.done.add(int(str(message["ended"])))
            if self.cluster.rank == 0:
                self.tell(message)


def describe_end(code: int) -> str:
    """What an exit code says."""
    if code == -signal.SIGKILL:
        return "was killed, perhaps because the memory was full"
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


def divert_chatter(file: Path) -> None:
    """What Python prints stays where it was, everything else goes to a file."""
    sys.stdout, sys.stderr = (os.fdopen(os.dup(number), "w", buffering=1) for number in (1, 2))
    with file.open("a") as elsewhere:
        for number in (1, 2):
            os.dup2(elsewhere.fileno(), number)


def end_with_parent() -> None:
    """End this process when the one that watches over it is gone."""
    while os.read(0, 1):
        pass
    os._exit(1)


def run_supervised(main: Callable[[], int]) -> NoReturn:
    """The training process: the command line once more, then an end without waiting for hosts that may be gone."""
    divert_chatter(Path(os.environ[CHATTER]))
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
