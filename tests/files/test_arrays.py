"""Arrays of ``.npz`` files: what was written comes back, and what is damaged or hostile is refused by a ValueError."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from yolo.files.arrays import read_array, read_member

ARRAYS = {
    "numbers": np.arange(6, dtype=np.float32).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "scalar": np.array(7, np.int64),
    "empty": np.zeros((0, 4), np.bool_),
}


def test_arrays_come_back(tmp_path):
    np.savez(tmp_path / "a.npz", **ARRAYS)
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        for name, expected in ARRAYS.items():
            found = read_array(archive, name)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x93NUMPY\x01\x00\x10\x00{'descr': broken", "a has no .npy header"),
        (b"text", "a has no .npy header"),
        (b"\x93NUMPY\x09\x00", "a has no .npy header"),  # a version to come
    ],
)
def test_no_header(tmp_path, content, message):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", content)
        with pytest.raises(ValueError, match=message):
            read_array(archive, "a")


def test_an_array_that_claims_to_be_larger_is_refused_before_it_is_allocated(tmp_path):
    """A petabyte by its header, and objects that only pickle could read."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name, shape, kind in (("huge", (2**47, 8), "|u1"), ("objects", (1,), "|O")):
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array_header_1_0(member, {"descr": kind, "fortran_order": False, "shape": shape})
                member.write(bytes(8))
        for name in ("huge", "objects"):
            with pytest.raises(ValueError, match=f"{name} is of another size than its header says"):
                read_array(archive, name)


def test_a_compressed_member_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(10**6))
        with pytest.raises(ValueError, match=r"a\.npy is compressed"):
            read_member(archive, "a.npy")
