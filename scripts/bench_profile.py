"""Where a training step's time goes, by kind of oneDNN primitive: ours and that of the same network in plain PyTorch.

    python scripts/bench_profile.py                        # yolov3, batch 8, 416 px, bfloat16
    python scripts/bench_profile.py --reference PYTHON     # PYTHON has PyTorch: takes turns with bench_reference.py
    OMP_NUM_THREADS=1 taskset -c 0 python scripts/bench_profile.py ...     # one thread a side: least noise

Both libraries run their convolutions in oneDNN, which writes down each primitive's milliseconds (``ONEDNN_VERBOSE``).
Each kind has the least of all steps, which a busy machine disturbs least. The rest is the processor time of the
quickest step less all primitives, so it is meant for one thread: element-wise operations, the update, in ours target
assignment and loss, in PyTorch's batch norm, which it computes itself.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench_train import MALLOC, fit_step, make_batch, make_detector, timed

from yolo.system.allocator import tune_allocator

SERVED = "--serve"
KINDS = {
    "convolution,forward_training": "forward convolutions",
    "convolution,backward_data": "data gradients",
    "convolution,backward_weights": "kernel gradients",
    "matmul,undef": "kernel gradients",
    "batch_normalization,forward_training": "batch norm",
    "batch_normalization,backward": "batch norm",
    "reorder,undef": "reorders",
}
"""Names of the primitives' kinds and directions; the only products of a step are those of the kernels' gradients."""
PRIMITIVE = re.compile(r"^onednn_verbose,.*primitive,exec,\w+,(?P<kind>\w+),[^,]*,(?P<way>\w+),.*,(?P<time>[\d.e+-]+)$")


def add_up(lines: Iterator[str]) -> tuple[Counter[str], float]:
    """Milliseconds of each kind of primitive up to the line that ends a step, and the step's processor milliseconds."""
    spent: Counter[str] = Counter()
    for line in lines:
        if match := PRIMITIVE.match(line.strip()):
            spent[KINDS.get(f"{match['kind']},{match['way']}", "other primitives")] += float(match["time"])
        elif re.fullmatch(r"[\d.e-]+ [\d.e-]+", line.strip()):
            return spent, 1000 * float(line.split()[1])
    raise SystemExit("a side ended before its step did")


def serve(arguments: argparse.Namespace) -> None:
    """Run a step of ours for every line on standard input."""
    tune_allocator()  # before TensorFlow starts its threads
    detector = make_detector(arguments.model, arguments.size, arguments.precision)
    step = timed(fit_step(detector, *make_batch(arguments.size, arguments.batch)))
    for _ in sys.stdin:
        print(*step(), flush=True)


def start(python: str, script: str, arguments: argparse.Namespace) -> subprocess.Popen[str]:
    names = ("model", "size", "batch", "precision")
    command = [python, str(Path(__file__).with_name(script)), SERVED]
    command += [f"--{name}={getattr(arguments, name)}" for name in names]
    environment = {**os.environ, **MALLOC, "ONEDNN_VERBOSE": "profile_exec", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def profile(arguments: argparse.Namespace) -> dict[str, Counter[str]]:
    """Least milliseconds of each kind, of each side; the sides take turns, and two warm-up rounds do not count."""
    sides = {"ours": start(sys.executable, "bench_profile.py", arguments)}
    if arguments.reference:
        sides["PyTorch"] = start(arguments.reference, "bench_reference.py", arguments)
    least: dict[str, Counter[str]] = {name: Counter() for name in sides}
    for turn in range(arguments.repeats + 2):
        for name, side in sides.items():
            print(file=side.stdin, flush=True)
            spent, whole = add_up(iter(side.stdout.readline, ""))
            if turn > 1:
                for kind, time in (*spent.items(), ("whole step", whole)):
                    least[name][kind] = min(time, least[name].get(kind, time))
    for side in sides.values():
        side.communicate()
    return least


def report(least: dict[str, Counter[str]]) -> None:
    for times in least.values():
        times["rest"] = times["whole step"] - sum(time for kind, time in times.items() if kind != "whole step")
    print(f"{'ms':22}" + "".join(f"{name:>10}" for name in least))
    kinds = dict.fromkeys([*KINDS.values(), "other primitives", "rest", "whole step"])
    for kind in kinds:
        if any(times[kind] for times in least.values()):
            print(f"{kind:22}" + "".join(f"{times[kind]:10.0f}" for times in least.values()))


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="yolov3", help="or yolov3-tiny")
    parser.add_argument("--size", type=int, default=416)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--precision", default="mixed_bfloat16", help="or float32")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--reference", metavar="PYTHON", help="a Python that has PyTorch")
    parser.add_argument(SERVED, action="store_true", help="a step of ours for every line on standard input")
    return parser.parse_args(arguments)


def main() -> None:
    arguments = parse()
    if arguments.serve:
        serve(arguments)
    else:
        report(profile(arguments))


if __name__ == "__main__":
    main()
