"""The results of a screen are there once each, wherever their folder is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.predict.record import within
from app.cluster.folder import LINES, ScreenFolder
from app.errors import InvalidRequest, UnreachableStore
from app.places.folder import Folder, LocalFolder, UrlFolder, open_folder
from app.protocol.tally import Outcome, Tally
from tests.extras import run_without
from tests.store.remote_stores import s3_server, writable


@pytest.fixture(params=["path", "file", "memory", "s3"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Folder]:
    """A folder that is not there yet."""
    if request.param == "path":
        yield open_folder(tmp_path / "out")
        return
    with writable(request.param, tmp_path) as url:
        yield open_folder(url)


def tally(structures: int) -> Tally:
    counted = Tally()
    for _ in range(structures):
        counted.add(Outcome(warnings=("uncertain",)))
    return counted


def test_what_is_whole_counts(files: Folder) -> None:
    """Neither what was half-written, nor what the ledger alone knows of."""
    folder = ScreenFolder(files, ".xyz")
    folder.check_new()
    assert folder.open().structures == 0
    for number in (0, 1, 2, LINES):
        folder.write(number, b"result", tally(number % 7 + 1))
    assert sorted(files.sizes()) == [
        *("_parts-0000.jsonl", "_parts-0001.jsonl"),
        *(f"part-{number:07}.xyz" for number in (0, 1, 2, LINES)),
    ]
    files.remove("part-0000000.xyz")
    files.write("part-0000001.xyz", b"res")
    half = files.read("_parts-0000.jsonl") + b'{"part": 3, "by'
    files.write("_parts-0000.jsonl", half)
    files.write("part-0000003.xyz.unfinished", b"res")
    again = ScreenFolder(files, ".xyz")
    found = again.open()
    assert [number for number in (*range(4), LINES) if again.has(number)] == [2, LINES]
    assert found.structures == 3 + LINES % 7 + 1
    assert found.warnings == {"uncertain": found.structures}
    assert "part-0000003.xyz.unfinished" not in files.sizes()
    again.write(1, b"result", tally(2))
    assert ScreenFolder(files, ".xyz").open().structures == found.structures + 2
    with pytest.raises(InvalidRequest, match=r"holds files already; go on with --resume"):
        again.check_new()


def test_what_is_no_folder_is_refused(files: Folder, tmp_path: Path) -> None:
    files.write("one", b"a file")
    inner = {
        LocalFolder: lambda: open_folder(Path(files.shown) / "one"),
        UrlFolder: lambda: open_folder(f"{files.shown}/one"),
    }
    with pytest.raises(InvalidRequest, match="a folder is meant, and a file is there"):
        inner[type(files)]().sizes()


def test_what_is_missing_is_named(files: Folder) -> None:
    with pytest.raises(FileNotFoundError):
        files.read("none")
    files.remove("none")
    assert within(files).shown == f"{files.shown}/_run.unfinished.json"


def test_buckets_that_cannot_be_written_are_named() -> None:
    with s3_server():
        absent = open_folder("s3://none/results")
        assert absent.sizes() == {}
        with pytest.raises(UnreachableStore, match=r"s3://none/results cannot be .*bucket"):
            absent.write("one", b"")


def test_a_store_without_rights_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What its package raises is told; as s3fs does of keys that may not."""
    from fsspec.implementations.memory import MemoryFileSystem

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(MemoryFileSystem, "ls", refuse)
    monkeypatch.setattr(MemoryFileSystem, "pipe_file", refuse)
    folder = open_folder("memory://closed")
    told = r"memory://closed cannot be reached or used: PermissionError: Access Denied"
    with pytest.raises(UnreachableStore, match=told):
        folder.sizes()
    with pytest.raises(UnreachableStore, match=told):
        folder.write("one", b"")


def test_without_its_package_a_url_names_it(tmp_path: Path) -> None:
    code = (
        "from app.errors import InvalidRequest\n"
        "from app.places.folder import open_folder\n"
        "try:\n    open_folder('s3://bucket/results')\n"
        "except InvalidRequest as error:\n    print(error)"
    )
    said = run_without(["remote"], code, folder=tmp_path)
    assert "s3://bucket/results: " in said
    assert "pip install 'equipot[remote]' s3fs" in said
