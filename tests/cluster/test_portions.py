"""Portions hold what their files hold, in order, and can be cut again."""

import gzip
from pathlib import Path

import ase.io
import pytest
from ase.build import molecule

from app.cli.predict.entries import expanded, read_entries
from app.cluster.portions import Portions, grouped
from app.cluster.worker import entries_of
from app.errors import InvalidFormat, UnreachableStore
from app.jobs.parts import Part
from app.places.url import Url
from app.protocol.intake import Drawing
from tests.store.remote_stores import writable

NAMES = ("CH3CH2OH", "C6H6", "H2O", "CH3CONH2", "NH3")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Structures in several formats, one compressed, one of ASE's, one that is none."""
    folder = tmp_path_factory.mktemp("given")
    frames = [molecule(NAMES[i % len(NAMES)], info={"id": f"m{i}"}) for i in range(50)]
    ase.io.write(folder / "a.xyz", frames, format="extxyz")
    (folder / "b.xyz.gz").write_bytes(gzip.compress((folder / "a.xyz").read_bytes()))
    (folder / "c.smi").write_text("CCO ethanol\nC1CC methane\nO\n")
    ase.io.write(folder / "d.traj", frames[:3])
    (folder / "e.xyz").write_text("this is none\n")
    return [str(path) for path in sorted(folder.iterdir())]


def shown(entries) -> list[tuple]:
    """What can be compared of entries."""
    return [
        (entry.id, entry.n_atoms, type(entry.structure).__name__, entry.warnings)
        for entry in entries
    ]


@pytest.mark.parametrize("size", [1, 7, 1024])
def test_they_hold_what_files_hold(files: list[str], size: int) -> None:
    xyz = [file for file in files if ".smi" not in file]
    with Portions(xyz, size=size) as portions:
        cut = list(portions)
    assert [each.number for each in cut] == list(range(len(cut)))
    assert cut[-1].share == pytest.approx(1.0)
    entries = [entry for each in cut for entry in entries_of(each, Drawing())]
    assert shown(entries) == shown(read.entry for read in read_entries(xyz))
    assert isinstance(entries[-1].structure, InvalidFormat)


@pytest.mark.parametrize("kind", ["memory", "s3"])
def test_files_at_urls_are_fetched_in_their_turn(files, kind, tmp_path, monkeypatch) -> None:
    """And removed after it; what cannot be fetched is no result, so that a later run may have it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with writable(kind, tmp_path) as url:
        import fsspec

        system, root = fsspec.core.url_to_fs(url)
        for file in files[:2]:
            system.put_file(file, f"{root}/{Path(file).name}")
        urls = expanded([f"{url}/*.xyz*"], urls=True)
        assert urls == [f"{url}/{Path(file).name}" for file in files[:2]]
        with Portions(urls, size=20) as away, Portions(files[:2], size=20) as here:
            for one, other in zip(away, here, strict=True):
                assert (one.number, one.content, one.share) == (
                    *(other.number, other.content),
                    pytest.approx(other.share),
                )
                kept = [path.name for path in tmp_path.rglob("*.xyz*")]
                assert len(kept) <= 3, kept  # the one at a URL, and two that are unpacked
        assert not list(tmp_path.iterdir())
        before = Url(urls[0]).mark()
        system.pipe_file(f"{root}/a.xyz", b"another one")
        system.invalidate_cache()
        assert Url(urls[0]).mark() != before
        with Portions(urls) as portions:
            cutting = iter(portions)
            next(cutting)
            system.rm_file(f"{root}/b.xyz.gz")
            with pytest.raises(UnreachableStore, match=r"b.xyz.gz is not there any more"):
                list(cutting)
        with pytest.raises(InvalidFormat, match="no such file"):
            expanded([f"{url}/c.xyz"], urls=True)


def test_who_is_refused_is_not_told_that_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = pytest.importorskip("fsspec.implementations.memory")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("no credentials")

    monkeypatch.setattr(memory.MemoryFileSystem, "info", refuse)
    with pytest.raises(UnreachableStore, match="no credentials"):
        expanded(["memory://library/a.xyz"], urls=True)


def test_lines_of_smiles_are_molecules(files: list[str]) -> None:
    (file,) = (file for file in files if ".smi" in file)
    with Portions([file], size=1) as portions:
        entries = [e for each in portions for e in entries_of(each, Drawing(conformers=2))]
    assert [entry.id for entry in entries] == ["ethanol", "methane", None]
    assert entries[0].structure.conformers == 2


def test_groups_have_no_gaps() -> None:
    parts = [Part(10 * i, 10 * i + 10, 3 * i, 3) for i in range(7)]
    groups = list(grouped(parts, 7))
    assert groups[0] == (parts[0], parts[1])
    assert groups[-1][1] == parts[-1]
    assert [g[0] for g in groups[1:]] == [parts[parts.index(g[1]) + 1] for g in groups[:-1]]
