"""Rendezvous of the hosts of a run, and the TCP connections over which they report their state (the port above JAX's).

Every other host keeps one connection to rank 0; both ends send JSON objects, one per line. A connection that closes
without a "done" message means a dead process, one that is silent a dead machine.

JAX's own coordination service is no substitute (0.10.2, measured on CPU). When a host does not join, it aborts the
others (SIGABRT, a C++ stack trace) without saying which rank is missing. When a host is killed, the others wait for its
heartbeat timeout, 100 s by default, and are aborted too; so are they when a host exits with an error of the user's.
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
"""Interval between heartbeats, which both ends send."""
SILENT_SECONDS = 20.0
"""Silence after which a host counts as lost."""
RETRY_SECONDS = 0.2
LONGEST_LINE = 2**16
Message = dict[str, Any]


class Link:
    """One end of a connection between two hosts.

    Args:
        connection: its socket.
        rank: rank of the host at the other end; -1: not known yet.
    """

    def __init__(self, connection: socket.socket, rank: int = -1):
        self.socket, self.rank, self.name = connection, rank, ""
        self.heard = time.monotonic()
        self.open = True
        self._rest = b""
        connection.settimeout(SILENT_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, message: Message) -> None:
        """Send a message; a broken connection shows when it is read from."""
        with suppress(OSError):
            self.socket.sendall(json.dumps(message).encode() + b"\n")

    def read(self) -> list[Message]:
        """Receive messages without waiting, once the socket is readable; ``open`` is False after the last ones."""
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
        """Close the connection."""
        self.open = False
        self.socket.close()


def parsed(line: bytes) -> Message | None:
    """Parse a line; None if it is not a message of ours: anybody may connect to the port."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


class Event(NamedTuple):
    """Message received on a link, or the end of the link."""

    link: Link
    message: Message | None
    """None: the other end has closed the connection."""


def receive(links: list[Link], seconds: float) -> Iterator[Event]:
    """Wait up to some seconds for messages on any of the links, and yield those that have arrived."""
    with selectors.DefaultSelector() as selector:
        for link in links:
            if link.open:
                selector.register(link.socket, selectors.EVENT_READ, link)
        if not selector.get_map():
            time.sleep(seconds)
            return
        for key, _ in selector.select(seconds):
            link = key.data
            yield from (Event(link, message) for message in link.read())
            if not link.open:
                yield Event(link, None)


def gather_hosts(cluster: Cluster, timeout: float) -> list[Link]:
    """Wait until all hosts of a run are connected.

    Returns:
        On rank 0 the links to all other hosts, on another host the link to rank 0.

    Raises:
        ConfigError: hosts are missing after ``timeout`` seconds (their ranks are named), two have the same rank, or
            they differ in the world size.
    """
    return accept_hosts(cluster, timeout) if cluster.rank == 0 else [join_rank_0(cluster, timeout)]


def accept_hosts(cluster: Cluster, timeout: float) -> list[Link]:
    """Accept the connections of all other hosts: `gather_hosts` on rank 0."""
    deadline = time.monotonic() + timeout
    registered: dict[int, Link] = {}
    unidentified: list[Link] = []
    try:
        with listen_on(cluster.port + 1) as server:
            while len(registered) < cluster.world - 1 and time.monotonic() < deadline:
                with suppress(TimeoutError):
                    unidentified.append(Link(server.accept()[0]))
                for link, message in list(receive(unidentified, 0.0)) if unidentified else []:
                    if link in unidentified:  # its first message; any further one is ignored
                        unidentified.remove(link)
                        register(cluster, link, message or {}, registered)
        missing = [rank for rank in range(1, cluster.world) if rank not in registered]
        if missing:
            raise ConfigError(describe_missing(cluster, missing, timeout))
    except ConfigError as error:
        for link in registered.values():
            link.send({"refused": str(error)})
            link.close()
        raise
    finally:
        for link in unidentified:
            link.close()
    for link in registered.values():
        link.send({"welcome": cluster.world})
    return list(registered.values())


def listen_on(port: int) -> socket.socket:
    """Open the server socket to which the other hosts connect.

    Raises:
        ConfigError: the port is in use.
    """
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        server = socket.create_server(("", port), family=family, dualstack_ipv6=both, backlog=1024)
    except OSError as error:
        raise ConfigError(
            f"--hosts: port {port} cannot be opened ({error.strerror}); two neighbouring ports have to be free, "
            "choose others"
        ) from error
    server.settimeout(RETRY_SECONDS)
    return server


def register(cluster: Cluster, link: Link, message: Message, registered: dict[int, Link]) -> None:
    """Add a host that has connected to those registered, by the rank in its first message.

    Raises:
        ConfigError: its rank is taken or out of range, or its world size is another one.
    """
    rank, world = message.get("rank"), message.get("world")
    if not isinstance(rank, int):
        link.close()  # not a host of ours
        return
    link.rank, link.name = rank, str(message.get("name", ""))
    if rank in registered or not 0 < rank < cluster.world or world != cluster.world:
        link.send({"refused": f"rank 0 waits for {cluster.world} hosts, each of another rank"})
        link.close()
        if world != cluster.world:
            raise ConfigError(f"rank {rank} ({link.name}) has --world {world}, rank 0 has {cluster.world}")
        raise ConfigError(
            f"two processes have --rank {rank} ({registered[rank].name if rank in registered else ''}, {link.name})"
        )
    registered[rank] = link
    logger.info("rank %d has joined (%s), %d of %d", rank, link.name, len(registered) + 1, cluster.world)


def join_rank_0(cluster: Cluster, timeout: float) -> Link:
    """Connect to rank 0 and wait until all hosts have: `gather_hosts` on another host."""
    deadline = time.monotonic() + timeout
    link = connect(cluster, deadline, timeout)
    link.send({"rank": cluster.rank, "world": cluster.world, "name": socket.gethostname()})
    # Rank 0 may have been started later than this host.
    answer = wait_for_answer(link, deadline + timeout)
    if "welcome" in answer:
        link.rank, link.name = 0, cluster.host
        return link
    link.close()
    raise ConfigError(answer.get("refused") or f"rank 0 ({cluster.address}) ended before all hosts had joined")


def wait_for_answer(link: Link, deadline: float) -> Message:
    """Wait for rank 0's "welcome" or "refused"; an empty message if neither comes."""
    while link.open and time.monotonic() < deadline:
        for _, message in receive([link], RETRY_SECONDS):
            if message is None or {"welcome", "refused"} & set(message):
                return message or {}
    return {}


def connect(cluster: Cluster, deadline: float, timeout: float) -> Link:
    """Connect to rank 0, retrying until the deadline.

    Raises:
        ConfigError: rank 0 does not answer.
    """
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
    """Write the message that names the ranks which have not joined."""
    ranks = ", ".join(f"rank {rank}" for rank in missing)
    return (
        f"{len(missing)} of {cluster.world} hosts did not join within {timeout:g} s: {ranks} missing; are they started "
        f"with --hosts {cluster.address}, and can they reach it? (--hosts none: this host trains alone)"
    )
