"""The folder that remembers calibrations."""

import logging
from pathlib import Path

import pytest

from app.engine.calibration_cache import CalibrationCache
from tests.engine.calibrations import KEY, calibration


def test_what_was_written_is_read_at_the_same_place_only(tmp_path: Path) -> None:
    cache = CalibrationCache(tmp_path / "new" / "folder")
    assert cache.read(KEY) is None
    assert cache.write(calibration())
    assert cache.read(KEY) == calibration()
    for other in (
        {"threads": 2},
        {"digest": "e" * 64},
        {"runtime": "numpy 3"},
        {"device": "cuda"},
    ):
        assert cache.read(KEY.model_copy(update=other)) is None


def test_a_damaged_file_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = CalibrationCache(tmp_path)
    path = cache.write(calibration())
    assert path
    path.write_text("{")
    assert cache.read(KEY) is None
    assert str(path) in caplog.text


def test_a_folder_that_cannot_be_written_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    cache = CalibrationCache(tmp_path / "file")
    with caplog.at_level(logging.INFO):
        assert cache.write(calibration()) is None
        assert cache.write(calibration()) is None
    assert caplog.text.count("cannot be written") == 1
