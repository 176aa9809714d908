"""One of two hosts on loopback: `python host_runs.py DIGITS OUT PORT RANK`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from device_runs import train_once, two_cpus

from yolo.errors import ConfigError


def check_agreement(hosts) -> None:
    """What the collective calls give, against numbers by hand."""
    parts = hosts.gather(np.full((hosts.rank + 1, 2), 0.1 + hosts.rank))
    assert [part.tolist() for part in parts] == [[[0.1, 0.1]], [[1.1, 1.1], [1.1, 1.1]]]
    empty = hosts.gather(np.zeros((0, 4), np.float32))
    assert [part.shape for part in empty] == [(0, 4), (0, 4)]
    assert empty[0].dtype == np.float32
    assert hosts.all_gather_text(f"dish {hosts.rank}") == ["dish 0", "dish 1"]
    assert hosts.broadcast_text(f"from {hosts.rank}") == "from 0"
    assert hosts.any_true(hosts.rank == 1)
    assert not hosts.any_true(False)
    hosts.agree("dinner", "soup")
    with pytest.raises(ConfigError, match=r"do not have the same dinner \(rank 0: dish 0, rank 1: dish 1\)"):
        hosts.agree("dinner", f"dish {hosts.rank}")


def main(digits: str, out: str, port: str, rank: str) -> None:
    from yolo.distributed.hosts import joined
    from yolo.distributed.launchers import Cluster

    two_cpus()
    with joined(Cluster(f"127.0.0.1:{port}", int(rank), 2), timeout=60) as hosts:
        check_agreement(hosts)
        # As if a disk of its own: what lies there shows who writes.
        train_once(Path(digits), Path(out) / f"rank-{rank}", optimizer="sgd", devices=f"cpu:{rank}")


if __name__ == "__main__":
    main(*sys.argv[1:])
