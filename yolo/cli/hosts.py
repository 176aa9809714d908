"""Options of commands that run on several hosts, and the launch of such a command."""

from __future__ import annotations

import sys
from collections.abc import Callable

from jsonargparse import ArgumentParser, Namespace

from yolo.distributed.launchers import find_cluster
from yolo.distributed.supervisor import supervise, supervised
from yolo.system.startup import start_keras


def add_host_arguments(parser: ArgumentParser) -> None:
    """Add the options by which several hosts find each other."""
    parser.add_argument(
        "--hosts",
        type=str | None,
        default=None,
        help="train together with other hosts, which all run this command, on the JAX backend: host:port of rank 0 "
        "(the next port is used too); auto: as set by Slurm, torchrun or Kubernetes; none: this host alone "
        "(default: auto on JAX, else none)",
    )
    parser.add_argument("--rank", type=int | None, default=None, help="rank of this host, from 0")
    parser.add_argument("--world", type=int | None, default=None, help="world size: number of hosts")
    parser.add_argument("--hosts_timeout", type=float, default=60.0, help="seconds to wait for all hosts to connect")


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
