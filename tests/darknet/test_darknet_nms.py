"""Kinds of suppression of network files: what is read, and what is written back."""

from __future__ import annotations

import logging

import pytest
from cfg_texts import YOLO, conv, detector, sections

from yolo.config import NmsConfig
from yolo.darknet.edit import set_nms
from yolo.darknet.nms import nms_of
from yolo.darknet.plan import make_detector_plan
from yolo.errors import ConfigError

REGION = "[region]\nanchors=1,2, 3,4\nclasses=2\nnum=2"


def read(*options, head=YOLO):
    return nms_of(make_detector_plan(detector(head="\n".join([head, *options])), "a.cfg"))


def two_heads(first, second):
    """Two heads in the order of the file, the coarser one last."""
    return sections(
        conv(8, 3, stride=8, pad=1), conv(14), f"{YOLO}\n{first}", "[route]\nlayers=0", conv(8, 3, stride=2, pad=1),
        conv(14), f"{YOLO}\n{second}",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "kind", "beta"),
    [
        ((), "default", 0.6),
        (("nms_kind=default", "beta_nms=0.8"), "default", 0.8),
        (("nms_kind = greedynms", "beta_nms=0.6 # Darknet's"), "greedynms", 0.6),
        (("nms_kind=diounms", "beta_nms=.75"), "diounms", 0.75),
        (("nms_kind=cornersnms",), "default", 0.6),
    ],
)
def test_the_kind_of_a_file(options, kind, beta, caplog):
    assert read(*options) == NmsConfig(kind=kind, beta=beta)
    assert not caplog.records


def test_an_unknown_kind_is_the_default_and_said(caplog):
    with caplog.at_level(logging.WARNING):
        assert read("nms_kind=soft") == NmsConfig()
    assert [record.getMessage() for record in caplog.records] == [
        "a.cfg: nms_kind=soft is unknown, so default is taken, as by Darknet; there are default, greedynms, diounms, "
        "cornersnms"
    ]


def test_the_last_head_of_the_file_decides():
    text = two_heads("nms_kind=greedynms\nbeta_nms=0.7", "nms_kind=diounms\nbeta_nms=0.5")
    assert nms_of(make_detector_plan(text, "a.cfg")) == NmsConfig(kind="diounms", beta=0.5)


def test_a_region_has_none():
    assert read("nms_kind=greedynms", "beta_nms=hello", head=REGION) == NmsConfig()


@pytest.mark.parametrize(
    ("value", "message"), [("-1", "expected a number in 0..inf"), ("much", "a number is expected")]
)
def test_an_exponent_that_is_none_is_refused(value, message):
    with pytest.raises(ConfigError, match=rf"a\.cfg:\d+: \[yolo\] beta_nms={value}: {message}"):
        read("nms_kind=diounms", f"beta_nms={value}")


def test_the_kind_is_written_into_every_head_and_no_other_line_changes():
    text = two_heads("nms_kind=greedynms ; mine\nbeta_nms=.6", "jitter=.3")
    found = set_nms(text, "a.cfg", NmsConfig(kind="diounms", beta=0.6))
    second = f"{YOLO}\njitter=.3"
    added = second.replace("[yolo]", "[yolo]\nnms_kind=diounms")
    assert found == text.replace("greedynms", "diounms").replace(second, added)
    again = set_nms(found, "a.cfg", NmsConfig(kind="default", beta=0.25))
    assert nms_of(make_detector_plan(again, "a.cfg")) == NmsConfig(kind="default", beta=0.25)
    assert set_nms(again, "a.cfg", NmsConfig(beta=0.25)) == again


def test_nothing_is_written_into_a_region():
    text = detector(head=REGION)
    assert set_nms(text, "a.cfg", NmsConfig(kind="greedynms")) == text
