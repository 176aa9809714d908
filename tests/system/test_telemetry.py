"""No usage data leave the machine through OpenVINO or NNCF."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
if {early}:
    import openvino_telemetry
from yolo.system.telemetry import no_telemetry
no_telemetry()
if {early}:
    from types import SimpleNamespace
    from openvino_telemetry.utils.sender import TelemetrySender
    messages = []
    sender = TelemetrySender()
    sender.send(SimpleNamespace(send=messages.append), "used")
    sender.executor.shutdown(wait=True)
    print(messages)
else:
    import openvino
    print("openvino_telemetry.main" in sys.modules, openvino.convert_model is not None)
"""


def run(*, early: bool) -> str:
    code = CODE.format(early=early)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_openvino_does_not_find_its_reporter() -> None:
    assert run(early=False) == "False True"


def test_a_reporter_that_is_there_already_sends_nothing() -> None:
    assert run(early=True) == "[]"
