"""Kind of suppression that a network file asks for, ``nms_kind`` and ``beta_nms`` of its heads."""

from __future__ import annotations

import logging
from typing import get_args

from yolo.config import NmsConfig, NmsKind
from yolo.darknet.cfg import shortened
from yolo.darknet.network import Head, Plan

logger = logging.getLogger(__name__)

KINDS: dict[str, NmsKind] = {kind: kind for kind in get_args(NmsKind) if kind != "soft"} | {"cornersnms": "default"}
"""Kinds by Darknet's words; to ``[yolo]`` cornersnms, meant for Gaussian heads, is the default."""


def nms_of(plan: Plan) -> NmsConfig:
    """Thresholds of a network, their kind that of the file's last head, which Darknet applies to all.

    An unknown kind is the default, as in Darknet, with a warning.
    """
    head = next((each.settings for each in reversed(plan.layers) if isinstance(each.settings, Head)), None)
    if head is None:
        return NmsConfig()
    if head.nms_kind not in KINDS:
        logger.warning(
            "%s: nms_kind=%s is unknown, so default is taken, as by Darknet; there are %s",
            *(plan.source, shortened(head.nms_kind), ", ".join(KINDS)),
        )
    return NmsConfig(kind=KINDS.get(head.nms_kind, "default"), beta=head.beta_nms)
