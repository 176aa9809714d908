"""The names of the Python API."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import yolo
from yolo import errors


def test_the_fixed_names_are_what_they_say_after_every_module_is_imported():
    """A module of the same name would take a function's place once somebody imports it."""
    for module in pkgutil.walk_packages(yolo.__path__, "yolo."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in yolo.__all__:
        value = getattr(yolo, name)
        assert callable(value), name
        assert value.__name__ == name


def test_the_table_of_names_is_the_list_of_names():
    assert sorted(yolo.__all__) == sorted(yolo._MODULES)


def test_the_names_are_completed_before_they_are_asked_for():
    assert {*yolo.__all__} <= {*dir(yolo)}


def test_other_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = yolo.nothing


def test_every_error_is_a_yolo_error():
    kinds = [value for value in vars(errors).values() if isinstance(value, type)]
    assert len(kinds) == 5
    assert all(issubclass(kind, errors.YoloError) for kind in kinds)
