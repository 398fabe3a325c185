import os
import stat
from pathlib import Path
from typing import BinaryIO

import pytest

from app.places.replacing import check_place, half_of, put_in_place, replacing


def test_what_is_written_takes_the_place_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out.xyz"
    path.write_bytes(b"before")
    path.chmod(0o640)
    with replacing(path) as file:
        file.write(b"after")
        file.flush()
        assert path.read_bytes() == b"before"
        assert half_of(path).read_bytes() == b"after"
    assert path.read_bytes() == b"after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["out.xyz"]


def fail_after(file: BinaryIO, written: bytes) -> None:
    file.write(written)
    raise RuntimeError


@pytest.mark.parametrize(("written", "left"), [(b"", []), (b"half", ["out.xyz.unfinished"])])
def test_after_an_error_what_there_was_before_is_as_it_was(
    tmp_path: Path, written: bytes, left: list[str]
) -> None:
    path = tmp_path / "out.xyz"
    path.write_bytes(b"before")
    with pytest.raises(RuntimeError), replacing(path) as file:
        fail_after(file, written)
    assert path.read_bytes() == b"before"
    assert sorted(os.listdir(tmp_path)) == ["out.xyz", *left]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "real.xyz", tmp_path / "link.xyz"
    real.write_bytes(b"before")
    link.symlink_to(real)
    assert half_of(link) == real.with_name("real.xyz.unfinished")
    half_of(link).write_bytes(b"after")
    put_in_place(half_of(link), link)
    assert link.is_symlink()
    assert real.read_bytes() == b"after"


def test_a_device_is_written_to_as_it_is(tmp_path: Path) -> None:
    with replacing(Path(os.devnull)) as file:
        file.write(b"all")
    assert not half_of(Path(os.devnull)).exists()


def test_a_folder_that_is_not_there_is_told_by_the_name_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere/out\.xyz'$"):
        check_place(tmp_path / "nowhere" / "out.xyz")
    check_place(tmp_path / "out.xyz")
    assert not os.listdir(tmp_path)
