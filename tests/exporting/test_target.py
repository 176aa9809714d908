"""What is already there is only replaced on demand, and never more than an export."""

from __future__ import annotations

from pathlib import Path

import pytest

from yolo.errors import ConfigError
from yolo.exporting.serving import check_folder
from yolo.exporting.target import check_target


@pytest.mark.parametrize(
    ("file_format", "name", "other"),
    [
        ("openvino", "x.xml", "x.bin"),
        ("openvino", "x.xml", "detect_x_openvino.py"),
        ("onnx", "x.onnx", "detect_x_onnx.py"),
        ("litert", "x.litert", "detect_x_litert.py"),
    ],
)
def test_files_written_along_with_the_target_are_not_overwritten(
    tmp_path: Path, file_format: str, name: str, other: str
) -> None:
    (tmp_path / other).write_text("mine")
    with pytest.raises(ConfigError, match=f"{other}: exists, and is written along with {name}; .*--force"):
        check_target(file_format, tmp_path / name, force=False)  # type: ignore[arg-type]
    check_target(file_format, tmp_path / name, force=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("inside", "free"),
    [
        (["saved_model.pb", "variables", "metadata.yaml", "detect.py"], True),
        (["model.xml", "model.bin", "detect.py"], True),
        ([], True),
        (["saved_model.pb", "thesis.tex"], False),
        (["model.xml", "model.bin", "photos"], False),
    ],
)
def test_force_replaces_a_folder_with_nothing_but_an_export(tmp_path: Path, inside: list[str], free: bool) -> None:
    for name in inside:
        (tmp_path / name).touch()
    if free:
        check_target("openvino", tmp_path, force=True)
        return
    with pytest.raises(ConfigError, match="a folder with other contents than an export"):
        check_target("openvino", tmp_path, force=True)


@pytest.mark.parametrize("path", [".", "..", "/"])
def test_a_path_without_a_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="give the name of what is written"):
        check_folder(Path(path))
    with pytest.raises(ConfigError, match="give the name of what is written"):
        check_target("saved_model", Path(path), force=True)
