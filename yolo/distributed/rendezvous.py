"""How the hosts of a run find each other, and how each hears when another is gone: TCP beside the port of JAX.

Every host but the first keeps one connection to the first, on which both say small JSON objects, a line each. It is
closed without a goodbye when a process dies, and silent when a machine does.
"""

from __future__ import annotations

import json
import logging
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from yolo.distributed.launchers import Cluster
from yolo.errors import ConfigError

logger = logging.getLogger(__name__)

BEAT_SECONDS = 2.0
"""Every so often each end says that it is there."""
SILENT_SECONDS = 20.0
"""Who has said nothing for so long is taken for lost."""
RETRY_SECONDS = 0.2
LONGEST_LINE = 2**16
Message = dict[str, Any]


class Link:
    """One end of a connection.

    Args:
        connection: the socket.
        rank: of the host at the other end; -1: not known yet.
    """

    def __init__(self, connection: socket.socket, rank: int = -1):
        self.socket, self.rank, self.name = connection, rank, ""
        self.heard = time.monotonic()
        self.open = True
        self._rest = b""
        connection.settimeout(SILENT_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def say(self, message: Message) -> None:
        """Send it; a broken connection shows when it is read."""
        with suppress(OSError):
            self.socket.sendall(json.dumps(message).encode() + b"\n")

    def read(self) -> list[Message]:
        """What has come; `open` tells whether there may be more. To be called when there is something to read."""
        try:
            data = self.socket.recv(4096)
        except OSError:
            data = b""
        self.open, self.heard = bool(data), time.monotonic()
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            self.open, self._rest = False, b""
        return [message for line in lines if (message := parsed(line)) is not None]

    def close(self) -> None:
        self.open = False
        self.socket.close()


def parsed(line: bytes) -> Message | None:
    """A message; None: what somebody else has sent to this port."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


class News(NamedTuple):
    """Something that a link brought."""

    link: Link
    message: Message | None
    """None: the other end is gone."""


def listen(links: list[Link], seconds: float) -> Iterator[News]:
    """What comes on some connections within a time; it may end earlier."""
    with selectors.DefaultSelector() as selector:
        for link in links:
            if link.open:
                selector.register(link.socket, selectors.EVENT_READ, link)
        if not selector.get_map():
            time.sleep(seconds)
            return
        for key, _ in selector.select(seconds):
            link = key.data
            yield from (News(link, message) for message in link.read())
            if not link.open:
                yield News(link, None)


def gather_hosts(cluster: Cluster, timeout: float) -> list[Link]:
    """Wait until all hosts are there.

    Returns:
        The first host's connections to the others, or another's to the first.

    Raises:
        ConfigError: some have not come in time, which are named; two have the same rank; or the hosts disagree on how
            many they are.
    """
    return call_the_roll(cluster, timeout) if cluster.rank == 0 else [report(cluster, timeout)]


def call_the_roll(cluster: Cluster, timeout: float) -> list[Link]:
    """`gather_hosts` on the first host."""
    deadline = time.monotonic() + timeout
    there: dict[int, Link] = {}
    strangers: list[Link] = []
    try:
        with open_door(cluster.port + 1) as door:
            while len(there) < cluster.world - 1 and time.monotonic() < deadline:
                with suppress(TimeoutError):
                    strangers.append(Link(door.accept()[0]))
                for news in list(listen(strangers, 0.0)) if strangers else []:
                    if news.link in strangers:  # not yet heard
                        strangers.remove(news.link)
                        admit(cluster, news.link, news.message or {}, there)
        missing = [rank for rank in range(1, cluster.world) if rank not in there]
        if missing:
            raise ConfigError(describe_missing(cluster, missing, timeout))
    except ConfigError as error:
        for link in there.values():
            link.say({"refused": str(error)})
            link.close()
        raise
    finally:
        for link in strangers:
            link.close()
    for link in there.values():
        link.say({"welcome": cluster.world})
    return list(there.values())


def open_door(port: int) -> socket.socket:
    """The socket at which the others knock.

    Raises:
        ConfigError: the port is taken.
    """
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        door = socket.create_server(("", port), family=family, dualstack_ipv6=both, backlog=1024)
    except OSError as error:
        raise ConfigError(
            f"--hosts: port {port} cannot be opened ({error.strerror}); two neighbouring ports have to be free, "
            "choose others"
        ) from error
    door.settimeout(RETRY_SECONDS)
    return door


def admit(cluster: Cluster, link: Link, message: Message, there: dict[int, Link]) -> None:
    """Note who has come.

    Raises:
        ConfigError: it does not belong to this run.
    """
    rank, world = message.get("rank"), message.get("world")
    if not isinstance(rank, int):
        link.close()  # somebody else
        return
    link.rank, link.name = rank, str(message.get("name", ""))
    if rank in there or not 0 < rank < cluster.world or world != cluster.world:
        link.say({"refused": f"rank 0 waits for {cluster.world} hosts, each of another rank"})
        link.close()
        if world != cluster.world:
            raise ConfigError(f"rank {rank} ({link.name}) has --world {world}, rank 0 has {cluster.world}")
        raise ConfigError(
            f"two processes have --rank {rank} ({there[rank].name if rank in there else ''}, {link.name})"
        )
    there[rank] = link
    logger.info("rank %d is there (%s), %d of %d", rank, link.name, len(there) + 1, cluster.world)


def report(cluster: Cluster, timeout: float) -> Link:
    """`gather_hosts` on another host than the first."""
    deadline = time.monotonic() + timeout
    link = knock(cluster, deadline, timeout)
    link.say({"rank": cluster.rank, "world": cluster.world, "name": socket.gethostname()})
    # The first host's time may have begun later than ours.
    answer = wait_for_answer(link, deadline + timeout)
    if "welcome" in answer:
        link.rank, link.name = 0, cluster.host
        return link
    link.close()
    raise ConfigError(answer.get("refused") or f"rank 0 ({cluster.address}) ended before all hosts had come")


def wait_for_answer(link: Link, deadline: float) -> Message:
    """The first host's answer; empty if there is none."""
    while link.open and time.monotonic() < deadline:
        for news in listen([link], RETRY_SECONDS):
            if news.message is None or {"welcome", "refused"} & set(news.message):
                return news.message or {}
    return {}


def knock(cluster: Cluster, deadline: float, timeout: float) -> Link:
    """A connection to the first host, as soon as it is there."""
    address = (cluster.host.strip("[]"), cluster.port + 1)
    while True:
        try:
            return Link(socket.create_connection(address, timeout=max(RETRY_SECONDS, deadline - time.monotonic())))
        except OSError as error:
            if time.monotonic() >= deadline:
                raise ConfigError(
                    f"rank 0 is missing: nobody answered at {address[0]}:{address[1]} within {timeout:g} s ({error}); "
                    "is it started, and can this host reach it?"
                ) from error
        time.sleep(RETRY_SECONDS)


def describe_missing(cluster: Cluster, missing: list[int], timeout: float) -> str:
    """Who has not come."""
    ranks = ", ".join(f"rank {rank}" for rank in missing)
    return (
        f"{len(missing)} of {cluster.world} hosts did not come within {timeout:g} s: {ranks} missing; are they started "
        f"with --hosts {cluster.address}, and can they reach it? (--hosts none: this host trains alone)"
    )
