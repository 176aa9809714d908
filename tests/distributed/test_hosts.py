"""Several hosts: rank and world size, rendezvous, supervision, and the same result as one host."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from cfg_texts import STAGED
from processes import HELPERS, assert_same_run, finish, free_ports, start, succeed

from yolo.datasets.digits import make_digits
from yolo.distributed import rendezvous, supervisor
from yolo.distributed.hosts import ALONE, Hosts, initialize_jax, preflight
from yolo.distributed.launchers import Cluster, find_cluster, first_node, own_gpus
from yolo.distributed.rendezvous import Link, gather_hosts
from yolo.distributed.supervisor import Watch
from yolo.errors import ConfigError
from yolo.evaluation.evaluator import gathered
from yolo.evaluation.results import DetectionColumns
from yolo.training.run.consistency import agree_on

JAX = {"KERAS_BACKEND": "jax"}
BATCH_SCRIPT = {"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_JOB_NODELIST": "gpu[07-10],big1", "SLURM_JOB_ID": "41"}
SLURM = {**BATCH_SCRIPT, "SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "6", "SLURM_STEP_NODELIST": "gpu[08-10]"}
TORCHRUN = {"RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "10.0.0.5", "MASTER_PORT": "2222"}
KUBERNETES = {"JOB_COMPLETION_INDEX": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "train-0.train"}


@pytest.mark.parametrize(
    ("options", "environment", "expected"),
    [
        ((None, None, None), JAX, None),
        ((None, None, None), {**JAX, **SLURM}, ("gpu08:61082", 3, 6)),  # 61000 + 2 * 41
        ((None, None, None), {**JAX, **BATCH_SCRIPT}, None),  # one process, whatever --ntasks is
        ((None, None, None), {**JAX, **SLURM, "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, None),
        (("none", None, None), {**JAX, **SLURM}, None),
        (("auto", None, None), {**JAX, **TORCHRUN}, ("10.0.0.5:2223", 1, 4)),  # the port is its own
        ((None, None, None), {**JAX, **KUBERNETES}, ("train-0.train:29400", 0, 2)),
        (("a:9000", 1, 2), JAX, ("a:9000", 1, 2)),
        (("a:9000", None, None), {**JAX, **SLURM}, ("a:9000", 3, 6)),
        (("a:9000", 0, None), {**JAX, **SLURM}, ("a:9000", 0, 6)),
        (("[::1]:9000", 0, 1), JAX, ("[::1]:9000", 0, 1)),
    ],
)
def test_which_hosts(options, environment, expected):
    assert find_cluster(*options, environment) == (None if expected is None else Cluster(*expected))


@pytest.mark.parametrize(
    ("options", "environment", "message"),
    [
        (("a:9000", 2, 2), JAX, r"--rank 2: must be in 0\.\.1, as --world is 2"),
        (("a:9000", -1, 2), JAX, "--rank -1"),
        (("a", 0, 2), JAX, "--hosts a: must be host:port"),
        (("a:70000", 0, 2), JAX, "--hosts a:70000: must be host:port"),
        (("a:9000", 0, None), JAX, "give --rank and --world too"),
        ((None, 0, 2), JAX, "give --hosts host:port"),
        (("auto", None, None), JAX, "the environment names no hosts"),
        (("auto", None, None), {**JAX, **BATCH_SCRIPT}, "SLURM_STEP_NODELIST, as srun sets them"),
        (("auto", None, None), {**JAX, **KUBERNETES, "MASTER_ADDR": ""}, "Kubernetes names no host for rank 0"),
        (("auto", None, None), {**JAX, **TORCHRUN, "RANK": "one"}, "torchrun: 'one' is not a rank"),
        (
            ("auto", None, None),
            {**JAX, **TORCHRUN, "MASTER_PORT": "high"},
            "torchrun: 'high' is not a rank, .* or port",
        ),
        (("a:9000", 0, 2), {"KERAS_BACKEND": "tensorflow"}, "KERAS_BACKEND=jax"),
        (("auto", None, None), {"KERAS_BACKEND": "tensorflow", **SLURM}, "KERAS_BACKEND=jax"),
    ],
)
def test_hosts_that_cannot_be(options, environment, message):
    with pytest.raises(ConfigError, match=message):
        find_cluster(*options, environment)


def test_processes_side_by_side_on_tensorflow_train_alone(caplog, tmp_path):
    assert find_cluster(environment={"KERAS_BACKEND": "tensorflow", **SLURM}) is None
    assert caplog.messages == [
        "Slurm has started 6 processes, and each trains by itself: together they do on JAX (KERAS_BACKEND=jax)"
    ]
    assert find_cluster(environment={"KERAS_BACKEND": "tensorflow", **BATCH_SCRIPT}) is None
    assert len(caplog.messages) == 1
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    assert find_cluster(environment={"KERAS_HOME": str(tmp_path), **SLURM}).world == 6


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("node7", "node7"),
        ("node7,node9", "node7"),
        ("gpu[007-015]", "gpu007"),
        ("gpu[3,5-9],big", "gpu3"),
        ("a-b[1-2]", "a-b1"),
    ],
)
def test_the_first_of_slurms_nodes(nodes, expected):
    assert first_node(nodes) == expected


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"SLURM_LOCALID": "0", "SLURM_STEP_TASKS_PER_NODE": "1(x8)"}, None),  # one a machine: all its GPUs
        ({"SLURM_LOCALID": "3", "SLURM_STEP_TASKS_PER_NODE": "8(x2)"}, [3]),
        ({"SLURM_LOCALID": "0", "SLURM_STEP_TASKS_PER_NODE": "2(x3),1"}, [0]),  # as many on the last as on the others
        ({"SLURM_LOCALID": "0", "SLURM_NTASKS_PER_NODE": "4"}, None),  # a batch script; the tasks are yet to come
        ({"SLURM_LOCALID": "3", "SLURM_STEP_TASKS_PER_NODE": "8", "CUDA_VISIBLE_DEVICES": "0,1,2,3,4,5,6,7"}, [3]),
        ({"SLURM_LOCALID": "3", "SLURM_STEP_TASKS_PER_NODE": "8", "CUDA_VISIBLE_DEVICES": "0"}, None),  # its own
        ({"SLURM_LOCALID": "1", "SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_GPUS_PER_TASK": "4"}, None),
        ({"LOCAL_RANK": "2", "LOCAL_WORLD_SIZE": "4"}, [2]),
        ({"LOCAL_RANK": "2", "LOCAL_WORLD_SIZE": "4", "JAX_LOCAL_DEVICE_IDS": "5"}, None),  # JAX reads it
        ({"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}, None),
    ],
)
def test_which_gpus_of_a_machine_a_process_takes(environment, expected):
    assert own_gpus(environment) == expected


def test_jax_is_not_left_to_guess_the_devices(monkeypatch):
    """On Slurm it would take one GPU a process, also of a process that has the machine for itself."""
    jax = pytest.importorskip("jax")
    told = {}
    monkeypatch.setattr(jax.distributed, "initialize", lambda *_, **options: told.update(options))
    monkeypatch.setenv("SLURM_LOCALID", "0")
    monkeypatch.setenv("SLURM_STEP_TASKS_PER_NODE", "1(x8)")
    initialize_jax(Cluster("a:9000", 3, 8), 60)
    assert (told["local_device_ids"], told["cluster_detection_method"]) == (None, "deactivate")
    monkeypatch.setenv("SLURM_STEP_TASKS_PER_NODE", "8")
    initialize_jax(Cluster("a:9000", 3, 8), 60)
    assert told["local_device_ids"] == [0]


def test_a_first_operation_that_fails_is_one_line(monkeypatch):
    def fail(_):
        raise RuntimeError("NCCL operation failed:\ninvalid usage, Duplicate GPU detected")

    monkeypatch.setattr("yolo.distributed.hosts.all_gather", fail)
    with pytest.raises(ConfigError, match=r"rank 1: .* failed: invalid usage, Duplicate GPU.*by CUDA_VISIBLE_DEVICES$"):
        preflight(Hosts(1, 2), 60)


def meet(*ranks, world, timeout=1.5, worlds=None) -> list:
    """What `gather_hosts` gives or raises for each rank, called side by side."""
    address = f"127.0.0.1:{free_ports()}"

    def one(number):
        cluster = Cluster(address, ranks[number], (worlds or {}).get(number, world))
        try:
            return gather_hosts(cluster, timeout)
        except ConfigError as error:
            return str(error)

    with ThreadPoolExecutor(len(ranks)) as pool:
        return list(pool.map(one, range(len(ranks))))


def test_all_hosts_meet():
    first, second, third = meet(0, 1, 2, world=3, timeout=20)
    assert {link.rank for link in first} == {1, 2}
    assert [link.rank for link in second + third] == [0, 0]
    assert first[0].name == socket.gethostname()
    for link in first + second + third:
        link.close()


def test_who_is_missing_is_named():
    found = meet(0, 2, world=4)
    assert len(found) == 2
    for message in found:
        assert message.startswith("2 of 4 hosts did not join within 1.5 s: rank 1, rank 3 missing; ")
        assert message.endswith("(--hosts none: this host trains alone)")
    (message,) = meet(1, world=2, timeout=0.5)
    assert "rank 0 is missing: nobody answered at 127.0.0.1:" in message


def test_hosts_that_do_not_fit_together():
    found = meet(0, 1, 1, world=3, timeout=20)
    assert "two processes have --rank 1" in found[0]
    found = meet(0, 1, world=3, worlds={1: 2}, timeout=20)
    assert "has --world 2, rank 0 has 3" in found[0]
    assert "rank 0 waits for 3 hosts" in found[1]


def test_other_connections_to_the_port_do_no_harm():
    """A port scanner or a browser, which says something else or nothing."""
    port = free_ports()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(gather_hosts, Cluster(f"127.0.0.1:{port}", 0, 2), 20)
        visitors = []
        while len(visitors) < 3:
            try:
                visitors.append(socket.create_connection(("127.0.0.1", port + 1)))
            except OSError:
                time.sleep(0.05)
        visitors[0].sendall(b"GET / HTTP/1.1\r\n\r\n")
        visitors[1].sendall(b'{"rank": "one"}\n[1]\n')
        visitors[2].close()
        second = pool.submit(gather_hosts, Cluster(f"127.0.0.1:{port}", 1, 2), 20)
        for link in first.result() + second.result():
            link.close()
    for visitor in visitors:
        visitor.close()


def test_a_port_that_is_taken_is_named():
    port = free_ports()
    with socket.create_server(("", port + 1)), pytest.raises(ConfigError, match=f"port {port + 1} cannot be opened"):
        gather_hosts(Cluster(f"127.0.0.1:{port}", 0, 2), 1)


def socket_pair():
    """Both ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        return near, server.accept()[0]


@contextmanager
def watched(tmp_path, code: str, rank: int = 0, backend_log: str = ""):
    """A watch over a process that runs some Python, and the far end of its link to rank 1 - ``rank``."""
    near, far = socket_pair()
    (tmp_path / "backend.log").write_text(backend_log)
    link = Link(near, 1 - rank)
    link.name = "elsewhere"
    child = subprocess.Popen([sys.executable, "-S", "-c", code])
    try:
        yield Watch(Cluster("h:1", rank, 2), [link], child, tmp_path / "backend.log", "go on with X"), far
    finally:
        child.kill()
        child.wait()
        near.close()
        far.close()


WAIT = "import time; time.sleep(60)"


def test_a_host_without_a_connection_is_lost(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(supervisor, "LOST_SECONDS", 0.1)
    with watched(tmp_path, WAIT) as (watch, far):
        far.close()
        assert watch.run() == 1
    assert caplog.messages == ["rank 1 (elsewhere) is lost: its connection has ended; go on with X"]


def test_a_silent_host_is_lost(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(supervisor, "LOST_SECONDS", 0.1)
    monkeypatch.setattr(supervisor, "SILENT_SECONDS", 0.3)
    with watched(tmp_path, WAIT) as (watch, _):
        assert watch.run() == 1
    assert "rank 1 (elsewhere) is lost: nothing was heard from it for 0.3 s" in caplog.text


def test_hosts_that_have_waited_for_the_last_one_are_not_taken_for_lost(tmp_path, monkeypatch):
    """The third one comes after more seconds than a host may be silent."""
    monkeypatch.setattr(supervisor, "SILENT_SECONDS", 1.0)
    monkeypatch.setattr(supervisor, "BEAT_SECONDS", 0.1)
    address = f"127.0.0.1:{free_ports()}"
    (tmp_path / "backend.log").touch()

    def train(rank):
        time.sleep(2.0 if rank == 2 else 0.0)
        links = gather_hosts(Cluster(address, rank, 3), 30)
        time.sleep(0.5 if rank == 1 else 0.0)  # the first to be heard now is the last that has come
        child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(1.5)"])
        try:
            return Watch(Cluster(address, rank, 3), links, child, tmp_path / "backend.log", "go on with X").run()
        finally:
            child.kill()
            child.wait()
            for link in links:
                link.close()

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(train, range(3))) == [0, 0, 0]


def test_a_host_that_speaks_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "SILENT_SECONDS", 0.6)
    with watched(tmp_path, "import time; time.sleep(1.2)") as (watch, far):
        for seconds in (0.3, 0.6, 0.9):
            threading.Timer(seconds, far.sendall, [b'{"beat": 1}\n']).start()
        assert watch.run() == 0
        heard = far.recv(10**6)
    assert heard == b'{"beat": 0}\n{"done": 0}\n'


def test_after_its_goodbye_a_host_may_go(tmp_path, caplog):
    with watched(tmp_path, "import time; time.sleep(0.5)") as (watch, far):
        far.sendall(b'{"done": 1}\n')
        far.close()
        assert watch.run() == 0
    assert not caplog.messages


@pytest.mark.parametrize(
    ("code", "expected", "logged"),
    [
        ("raise SystemExit(2)", 2, []),  # it has said why
        ("raise SystemExit(143)", 143, []),
        ("raise SystemExit(1)", 1, ["rank 0: the training process ended with exit code 1; go on with X"]),
        (
            "import os; os.kill(os.getpid(), 9)",
            1,
            ["rank 0: the training process was killed, perhaps because the memory was full; go on with X"],
        ),
        (
            "import os; os.kill(os.getpid(), 6)",
            1,
            ["F1121 Terminating", "rank 0: the training process was ended by signal 6; go on with X"],
        ),
    ],
)
def test_how_a_training_process_may_end(tmp_path, caplog, code, expected, logged):
    with watched(tmp_path, code, backend_log="F1121 Terminating\n") as (watch, far):
        assert watch.run() == expected
        assert b'"ended": 0' in far.recv(10**6)
    assert caplog.messages == logged


def test_a_fault_that_all_hosts_have_is_told_once_a_host(tmp_path, caplog):
    """Each process says it itself, and nobody calls another one lost."""
    with watched(tmp_path, "import time; time.sleep(0.5); raise SystemExit(2)", rank=1) as (watch, far):
        far.sendall(b'{"ended": 0, "why": "ended with exit code 2", "code": 2}\n')
        far.shutdown(socket.SHUT_WR)
        assert watch.run() == 2
    assert not caplog.messages


def test_the_first_host_passes_bad_news_on(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(supervisor, "LOST_SECONDS", 0.1)
    with watched(tmp_path, WAIT) as (watch, far):
        near, third = socket_pair()
        with near, third:
            watch.links.append(Link(near, 2))
            far.sendall(b'{"ended": 1, "why": "was killed", "code": -9}\n')
            assert watch.run() == 1
            assert b'{"ended": 1, "why": "was killed", "code": -9}\n' in third.recv(10**6)
    assert caplog.messages == ["rank 1 was killed; go on with X"]


def test_a_line_without_end_is_no_message():
    near, far = socket_pair()
    with near, far:
        link = Link(near)
        threading.Thread(target=lambda: far.sendall(b"x" * (rendezvous.LONGEST_LINE + 4096)), daemon=True).start()
        while link.open:
            assert link.read() == []


class Two:
    """Two hosts of which the other one's arrays are given."""

    rank, world = 0, 2

    def __init__(self, *others):
        self.others = iter(others)

    def gather(self, array):
        return [array, next(self.others)]


def test_detections_of_all_hosts_in_the_datasets_order():
    """This host had the pictures 0 and 2, the other one 1 and 3; in picture 2 nothing was found."""
    boxes = np.arange(16, dtype=np.float32).reshape(4, 4)
    mine = DetectionColumns(
        pictures=np.array([0, 0]), labels=np.array([5, 6], np.int32), scores=np.array([0.9, 0.8]), boxes=boxes[:2]
    )
    other = (np.array([1, 3]), np.array([7, 8], np.int32), np.array([0.7, 0.6]), boxes[2:])
    found = gathered(mine, np.array([0, 2]), Two(*other))
    assert found.pictures.tolist() == [0, 0, 1, 3]
    assert found.labels.tolist() == [5, 6, 7, 8]
    assert found.scores.tolist() == [0.9, 0.8, 0.7, 0.6]
    np.testing.assert_array_equal(found.boxes, boxes)


def test_one_host_agrees_with_itself():
    array = np.array([1, 2])
    assert ALONE.first
    assert ALONE.gather(array)[0] is array
    assert ALONE.broadcast_text("x") == "x"
    assert not ALONE.any_true(False)
    assert ALONE.any_true(True)
    ALONE.agree("anything", "x")


class Texts:
    """Hosts of which the first ones' texts are given."""

    def __init__(self, *earlier):
        self.earlier = earlier

    def all_gather_text(self, text):
        return [*self.earlier, text]


def test_hosts_that_would_not_learn_the_same_are_told_in_what_they_differ():
    """Nested conditions, one that is missing, and one that may differ."""
    here = {
        "config": {"batch": 8, "workers": 2, "loss": {"box": "giou"}},
        "dataset": {"images": 9},
        "tensorboard": False,
    }
    agree_on(ALONE, here)
    like = json.dumps({"config.batch": 8, "config.loss.box": "giou", "dataset.images": 9, "tensorboard": False})
    agree_on(Texts(like, like), here)
    with pytest.raises(ConfigError) as caught:
        agree_on(Texts(like, like), {"config": {"batch": 16, "loss": {"box": "giou"}}, "dataset": {"images": 9}})
    assert str(caught.value) == (
        "the hosts do not have the same config.batch (rank 0: 8, rank 2: 16), "
        "tensorboard (rank 0: False, rank 2: None); give all of them the same options and pictures"
    )


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return make_digits(tmp_path_factory.mktemp("digits"), train=8, val=5, size=64, seed=3)


@pytest.fixture(scope="module")
def alone(digits, tmp_path_factory):
    """The folder of two runs of one host on JAX: 0 on one of its devices, 1 on two of them."""
    folder = tmp_path_factory.mktemp("alone")
    runs = ["cpu:0/sgd", "cpu:0,cpu:1/sgd"]
    succeed(start(HELPERS / "device_runs.py", digits, folder, *runs, backend="jax"))
    return folder


@pytest.mark.slow
def test_two_devices_of_a_host_follow_one(alone):
    assert_same_run(alone / "1", alone / "0", tolerance=1e-5)


@pytest.mark.slow
def test_two_hosts_follow_one(digits, alone, tmp_path):
    """Losses, weights and metrics; the first one alone writes. Each computes on another one of its devices."""
    port = free_ports()
    hosts = [
        start(HELPERS / "host_runs.py", digits, tmp_path, port, rank, backend="jax", cwd=tmp_path) for rank in range(2)
    ]
    for process in hosts:
        succeed(process)
    assert_same_run(tmp_path / "rank-0", alone / "0", tolerance=1e-5)
    assert {path.name for path in (tmp_path / "rank-0").iterdir()} >= {"best.keras", "checkpoints", "history.csv"}
    assert not list((tmp_path / "rank-1").iterdir())


@pytest.fixture(scope="module")
def long_epochs(tmp_path_factory):
    """A run on these can be disturbed before its first validation, which JAX compiles for longer than it trains."""
    return make_digits(tmp_path_factory.mktemp("long"), train=64, val=2, size=64, seed=3)


def begin(digits: Path, folder: Path, port: int, rank: int, *options: str):
    """One of two hosts of a run by the command line."""
    (folder / "net.cfg").write_text(STAGED)
    fixed = ["--model", "net.cfg", "--size", "64", "--batch", "4", "--save-every", "1", "--anchors", "auto"]
    where = ["--hosts", f"127.0.0.1:{port}", "--rank", str(rank), "--world", "2"]
    words = ["-m", "yolo", "train", str(digits), "--out", "run", *fixed, *where, *options]
    return start(*words, backend="jax", cwd=folder)


def wait_for_steps(folder: Path, count: int, processes) -> None:
    """Until a run has a checkpoint of so many steps."""
    deadline = time.monotonic() + 120
    while not any(int(path.stem[5:]) >= count for path in (folder / "run" / "checkpoints").glob("step-*.npz")):
        assert time.monotonic() < deadline
        assert all(process.poll() is None for process in processes)
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("lost", [1, 0])
def test_a_lost_host_ends_the_run_and_fewer_can_go_on(long_epochs, tmp_path, lost):
    """Killed with -9; what is left of it ends too, within seconds."""
    port = free_ports()
    hosts = [begin(long_epochs, tmp_path, port, rank, "--epochs", "3") for rank in range(2)]
    wait_for_steps(tmp_path, 3, hosts)
    hosts[lost].kill()
    code, _, err = finish(hosts[1 - lost], seconds=30)
    assert code == 1
    *_, last = err.strip().splitlines()
    assert last.startswith(f"rank {lost} (")
    assert last.endswith("is lost: its connection has ended; go on with: yolov3 train --resume run")
    assert "Traceback" not in err
    finish(hosts[lost], seconds=30)
    if lost == 0:
        return  # going on is the same
    again = start("-m", "yolo", "train", "--resume", "run", "--json", backend="jax", cwd=tmp_path)
    code, out, err = finish(again)
    assert code == 0, err
    assert "going on from step" in err
    assert '"AP50"' in out


@pytest.mark.slow
def test_a_signal_to_one_host_stops_all_of_them(long_epochs, tmp_path):
    port = free_ports()
    hosts = [begin(long_epochs, tmp_path, port, rank, "--epochs", "200") for rank in range(2)]
    wait_for_steps(tmp_path, 2, hosts)
    os.kill(hosts[1].pid, signal.SIGTERM)
    for process in hosts:
        code, _, err = finish(process)
        assert code == 143, err
        logging.info(err)
        assert "lost" not in err


@pytest.mark.slow
def test_hosts_with_other_options_end_before_the_first_step(digits, tmp_path):
    port = free_ports()
    hosts = [
        begin(digits, tmp_path, port, rank, "--epochs", "2", "--seed", str(rank), "--workers", str(1 + rank))
        for rank in range(2)
    ]
    for process in hosts:
        code, _, err = finish(process)
        assert code == 2, err
        assert "config.seed (rank 0: 0, rank 1: 1)" in err
        assert "config.workers" not in err
        assert "Traceback" not in err
    assert not list((tmp_path / "run").rglob("step-*.npz"))
