"""Files are read while they are answered, and one that is bad costs the others nothing."""

import gzip
import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.atoms.structure import Structure
from app.cli.predict.entries import check_files, read_entries
from app.errors import InvalidFormat
from app.formats.extxyz import iter_frames, iter_portions

PAIR = "2\nid=pair\nAr 0 0 0\nAr 0 0 3.9\n"


def pairs(count: int) -> Iterator[str]:
    for i in range(count):
        yield from (f"2\nid={i}\n", "Ar 0 0 0\n", f"Ar 0 0 {3.5 + 0.001 * (i % 500)}\n")


@pytest.mark.parametrize("size", [1, 60, 1000])
def test_portions_give_the_frames_of_the_whole(size: int) -> None:
    lines = io.StringIO("".join(pairs(20)) + "\n\n")
    found = list(iter_portions(lines, size))
    assert [frame.id for frame in found] == [str(i) for i in range(20)]


@pytest.mark.parametrize(
    "bad", ["two\nx\nAr 0 0 0\n", "3\nx\nAr 0 0 0\n", "1\nx\nAr 0 zero 0\n", "1\nx\nAr 0\n"]
)
@pytest.mark.parametrize("size", [1, 10_000])
def test_portions_name_the_line_of_the_whole_file(bad: str, size: int) -> None:
    text = "\n" + "".join(pairs(9)) + "\n" + bad
    told = []
    for frames in (iter_portions(io.StringIO(text), size), iter_frames(text)):
        *sound, last = frames
        assert all(isinstance(frame.structure, Structure) for frame in sound)
        told.append((len(sound), str(last.structure)))
    assert told[0] == told[1]


def peak(path: Path, frames: int) -> int:
    """Bytes that reading so many frames in small portions takes at most."""
    with path.open("w") as file:
        file.writelines(pairs(frames))
    with path.open() as file:
        tracemalloc.start()
        assert sum(1 for _ in iter_portions(file, size=2000)) == frames
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return most


def test_memory_is_that_of_a_portion(tmp_path: Path) -> None:
    assert peak(tmp_path / "large.xyz", 2000) < 1.3 * peak(tmp_path / "small.xyz", 500)


def test_shares_are_those_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text(PAIR)
    (tmp_path / "b.xyz").write_text(PAIR * 3)
    reads = list(read_entries([str(tmp_path / "a.xyz"), str(tmp_path / "b.xyz")]))
    assert len(reads) == 4
    assert reads[0].share == pytest.approx(0.25)
    assert reads[-1].share == pytest.approx(1.0)


def test_errors_name_the_file_and_come_once(tmp_path: Path) -> None:
    (tmp_path / "latin.xyz").write_bytes("1\n\nAr 0 0 0\n".encode("utf-16"))
    (tmp_path / "strange.cif").write_text("no cif")
    (tmp_path / "good.xyz").write_text(PAIR)
    files = [str(tmp_path / name) for name in ("latin.xyz", "strange.cif", "good.xyz")]
    latin, strange, good = (read.entry for read in read_entries(files))
    for entry, file in ((latin, files[0]), (strange, files[1])):
        assert isinstance(entry.structure, InvalidFormat)
        assert str(entry.structure).count(file) == 1
    assert good.id == "pair"


def test_a_frame_that_is_not_utf_8_comes_once_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "latin.xyz").write_bytes(PAIR.encode() + b"1\nid=caf\xe9\nAr 0 0 0\n")
    pair, other = (read.entry for read in read_entries([str(tmp_path / "latin.xyz")]))
    assert (pair.id, pair.warnings, other.id) == ("pair", (), "café")
    assert [each.code for each in other.warnings] == ["not_utf8"]


def test_standard_input_is_text_that_was_read() -> None:
    assert [read.entry.id for read in read_entries(["-"], None, PAIR.encode())] == ["pair"]


def test_compressed_and_stated_formats_are_read_like_others(tmp_path: Path) -> None:
    packed, odd = tmp_path / "packed.xyz", tmp_path / "odd.dat"
    packed.write_bytes(gzip.compress(PAIR.encode()))
    odd.write_text(PAIR * 2)
    assert [read.entry.id for read in read_entries([str(packed)])] == ["pair"]
    assert len(list(read_entries([str(odd)], "xyz"))) == 2


@pytest.mark.parametrize("name", ["none.xyz", "."])
def test_what_cannot_be_opened_is_told_first(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidFormat, match=r"No such file|Is a directory"):
        check_files([str(tmp_path / name)])
