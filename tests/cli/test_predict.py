import io
import json
from pathlib import Path

import ase.io
import pytest
from ase.build import bulk

from app.cli.main import main

PAIR = "2\nid=pair\nAr 0 0 0\nAr 0 0 3.9\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "in.xyz"
    path.write_text(PAIR)
    return path


def predict(store: Path, *arguments: object) -> int:
    return main(["predict", "--model-store", str(store), "--model", "pairs", *map(str, arguments)])


def test_extxyz(pair_store: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict(pair_store, file, file) == 0
    frames = ase.io.read(io.StringIO(capsys.readouterr().out), ":", format="extxyz")
    assert len(frames) == 2
    assert frames[0].get_potential_energy() < 0
    assert frames[0].info["model"] == "pairs@2"


def test_relax_into_a_json_file(pair_store: Path, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert (
        predict(
            pair_store,
            file,
            "--relax",
            "--fmax",
            0.001,
            "--optimizer",
            "lbfgs",
            "--json",
            "-o",
            out,
        )
        == 0
    )
    (result,) = json.loads(out.read_text())["results"]
    assert result["relaxed"]["converged"]
    assert result["relaxed"]["energy"] < result["energy"]


def test_other_formats(
    pair_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ase.io.write(tmp_path / "argon.cif", bulk("Ar", a=5.4))
    assert predict(pair_store, tmp_path / "argon.cif") == 0
    (atoms,) = ase.io.read(io.StringIO(capsys.readouterr().out), ":", format="extxyz")
    assert atoms.get_stress().shape == (6,)


def test_standard_input(
    pair_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(PAIR.encode())))
    assert predict(pair_store, "-", "--properties", "energy", "--json") == 0
    assert set(json.loads(capsys.readouterr().out)["results"][0]) == {"id", "status", "energy"}


def test_formats_are_known_by_content_or_stated(
    pair_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    xyz, cif = tmp_path / "pair.dat", tmp_path / "argon.cif"
    xyz.write_text(PAIR)
    ase.io.write(cif, bulk("Ar", a=5.4))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(cif.read_bytes())))
    assert predict(pair_store, xyz, "-") == 0
    frames = ase.io.read(io.StringIO(capsys.readouterr().out), ":", format="extxyz")
    assert [len(atoms) for atoms in frames] == [2, 1]
    assert predict(pair_store, xyz, "--format", "cif") == 1
    assert "a data block with atoms" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "\n\n", "data_global\n_journal_name_full X\n"])
def test_a_file_without_structures_is_an_error(
    pair_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    path = tmp_path / "empty.cif"
    path.write_text(content)
    assert predict(pair_store, path, "--json") == 1
    assert "empty.cif: no structures; a data block with atoms" in capsys.readouterr().err


def test_failed_structures_are_named(
    pair_store: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("1\n\nXe 0 0 0\n" + PAIR)
    assert predict(pair_store, file) == 1
    told = capsys.readouterr()
    assert "structure 0" in told.err
    assert "Xe" in told.err
    assert len(ase.io.read(io.StringIO(told.out), ":", format="extxyz")) == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere.xyz"], "nowhere.xyz"),
        (["--properties", "dipole"], "dipole"),
        (["--relax", "--fmax", "0"], "fmax"),
        (["--model", "nobody"], "nobody"),
        (["--threads", "-3"], "threads"),
    ],
)
def test_wrong_use(
    pair_store: Path,
    file: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    files = [] if arguments[0].endswith(".xyz") else [file]
    assert predict(pair_store, *files, *arguments) == 1
    assert told in capsys.readouterr().err
