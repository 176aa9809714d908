"""Options of commands that run on several hosts, and the launch of such a command."""

from __future__ import annotations

import sys
from collections.abc import Callable

from jsonargparse import ArgumentParser, Namespace

from yolo.distributed.launchers import find_cluster
from yolo.distributed.supervisor import supervise, supervised
from yolo.system.startup import start_keras


def add_host_arguments(parser: ArgumentParser) -> None:
    """Add the options of training on several hosts."""
    group = parser.add_argument_group("hosts")
    group.add_argument(
        "--hosts",
        type=str | None,
        metavar="HOST:PORT",
        help="train on several hosts, which all run this command, with the JAX backend: address of rank 0 (the next "
        "port is used too); auto: as Slurm, torchrun or Kubernetes say; none: this host alone (default: auto on JAX, "
        "else none)",
    )
    group.add_argument("--rank", type=int | None, help="rank of this host, counted from 0")
    group.add_argument("--world", type=int | None, help="world size: number of hosts")
    group.add_argument("--hosts_timeout", type=float, default=60.0, help="seconds to wait for all hosts at the start")


def on_hosts(arguments: Namespace, work: Callable[[Namespace], None]) -> int:
    """Run the work of a command on this host, or on several together; return the exit code.

    Raises:
        YoloError: the hosts cannot connect, or the work raises one.
    """
    cluster = find_cluster(arguments.hosts, arguments.rank, arguments.world)
    if cluster is None:
        work(arguments)
        return 0
    if not supervised():
        advice = f"go on with: yolov3 train --resume {arguments.resume or arguments.out or 'DIR'}"
        return supervise(cluster, sys.argv[1:], timeout=arguments.hosts_timeout, advice=advice)
    start_keras()
    from yolo.distributed.hosts import joined

    with joined(cluster, timeout=arguments.hosts_timeout):
        work(arguments)
    return 0
