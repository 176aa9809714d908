"""Messages of the package in programs that have configured logging, and in those that have not."""

from __future__ import annotations

import subprocess
import sys

import pytest

SAY = """
import logging, sys
from yolo.system.notices import notices
{before}
def say(times=1):
    with notices():  # as train calls make_run, which may be decorated too
        with notices():
            logging.getLogger("yolo.training").info("a notice")
say()
{after}
"""
"""A program of its own: pytest configures logging."""


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("", "", ["a notice"]),
        ("", "say()", ["a notice", "a notice"]),  # the handler does not pile up
        ("", "logging.basicConfig(format='mine: %(message)s', level='INFO'); say()", ["a notice", "mine: a notice"]),
        ("logging.basicConfig(format='mine: %(message)s', level='INFO')", "", ["mine: a notice"]),
        ("logging.basicConfig(format='mine: %(message)s')", "", []),  # the root's level holds
        ("logging.getLogger('yolo').setLevel('ERROR')", "", []),
        ("logging.getLogger('yolo').addHandler(logging.NullHandler())", "", []),
        ("", "logging.getLogger('yolo.training').info('outside')", ["a notice"]),
    ],
)
def test_notices_are_printed_once_and_only_where_nobody_configured_logging(before, after, expected):
    code = SAY.format(before=before, after=after)
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (found.stdout + found.stderr).splitlines() == expected


def test_in_a_notebook_they_go_to_stdout():
    """It paints stderr red."""
    shell = "sys.modules['IPython'] = type('IPython', (), {'get_ipython': lambda: type('Shell', (), {'kernel': 1})})"
    code = SAY.format(before=shell, after="")
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (found.stdout, found.stderr) == ("a notice\n", "")
