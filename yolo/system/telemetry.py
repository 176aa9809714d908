"""Telemetry of other packages, which is switched off: nothing about the user's work is sent anywhere."""

from __future__ import annotations

import sys
from typing import Any, cast

REPORTER = "openvino_telemetry"
"""Package through which OpenVINO and NNCF send usage data, from their import on, without asking."""


def no_telemetry() -> None:
    """Keep OpenVINO and NNCF from sending usage data in this process; call this before importing either.

    Without their reporting package they use a stub of their own, so it is made unimportable. If the user's program has
    imported it already, its sender does nothing from here on.
    """
    reporter: Any = sys.modules.setdefault(REPORTER, cast(Any, None))
    if reporter is not None:
        from openvino_telemetry.utils.sender import TelemetrySender

        TelemetrySender.send = _send_nothing


def _send_nothing(*_: Any, **__: Any) -> None:
    """Stand in for the method that sends a message."""
