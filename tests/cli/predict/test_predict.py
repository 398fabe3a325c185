import io
import json
import re
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import ase.io
import pytest
from ase.build import bulk

from app.cli.main import main
from app.store.card import ModelCard
from app.store.store import ModelStore
from app.store.training_range import TrainingRange

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


def test_the_end_is_a_summary(
    pair_store: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("1\n\nXe 0 0 0\n" + PAIR + PAIR.replace("3.9", "3.8163"))
    assert predict(pair_store, file, "--steps", 0, "--fmax", 0.001) == 1
    said = capsys.readouterr().err
    assert "2 of 3 structures answered with pairs@2" in said
    assert "refused: unsupported_element 1" in said
    assert "relaxations: 1 converged, 1 did not (steps 1)" in said
    assert re.search(r"[\d.e+]+ structures a second, ", said)


@pytest.mark.parametrize("option", [["--fmax", "0.001"], ["--steps", "9"], ["--cell", "fixed"]])
def test_an_option_of_relaxations_implies_them(
    pair_store: Path, file: Path, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    assert predict(pair_store, file, "--json", *option) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["relaxed"]["converged"]


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_file_without_a_structure_is_an_error_and_costs_the_others_nothing(
    pair_store: Path,
    file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    as_json: list[str],
) -> None:
    empty, torn = tmp_path / "empty.xyz", tmp_path / "torn.xyz"
    empty.write_text("\n")
    torn.write_text(PAIR + "2\n\nAr 0 0 0\n")
    assert predict(pair_store, empty, torn, file, *as_json) == 1
    told = capsys.readouterr()
    assert "empty.xyz: no structures; a frame that begins" in told.err
    assert "structure 2: frame 1, line 5: 2 atoms announced" in told.err
    assert "2 of 4 structures answered" in told.err
    if as_json:
        states = [result["status"] for result in json.loads(told.out)["results"]]
        assert states == ["error", "ok", "error", "ok"]


def test_the_input_is_not_written_over(
    pair_store: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(pair_store, file, "--output", file) == 2
    assert "one of the files to read" in capsys.readouterr().err
    assert file.read_text() == PAIR


def test_what_cannot_be_written_is_told_in_a_line(
    pair_store: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(pair_store, file, "--output", tmp_path / "nowhere" / "out.xyz") == 3
    assert capsys.readouterr().err.endswith("out.xyz: No such file or directory\n")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["nowhere.xyz"], 3, "nowhere.xyz: No such file"),
        (["--properties", "dipole"], 2, "dipole"),
        (["--relax", "--fmax", "0"], 2, "fmax"),
        (["--model", "nobody"], 3, "nobody"),
        (["--threads", "-3"], 2, "threads"),
        (["--resume"], 2, "--output must be a file"),
        (["--conformers", "2"], 2, "conformers: is for SMILES"),
        (["--seed", "2", "--format", "xyz"], 2, "seed: is for SMILES"),
        (["--on-ood", "error"], 2, "'pairs@2' cannot tell what is out of its domain"),
    ],
)
def test_wrong_use(
    pair_store: Path,
    file: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    told: str,
) -> None:
    files = [] if arguments[0].endswith(".xyz") else [file]
    assert predict(pair_store, *files, *arguments) == code
    said = capsys.readouterr().err
    assert told in said
    assert len(said.splitlines()) == 1


def test_what_is_not_installed_is_told_before_anything_is_asked(
    pair_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    nobody = "http://127.0.0.1:1/many.xyz"  # would be told that it does not answer
    asked = (nobody, "--ray", "local", "-o", tmp_path / "out")
    assert predict(pair_store, *asked) == 3
    told = "--ray: ray is not installed; pip install 'equipot[cluster]'"
    assert capsys.readouterr().err == f"equipot predict: {told}\n"
    there = ModuleType("ray")
    there.__spec__ = ModuleSpec("ray", None)
    monkeypatch.setitem(sys.modules, "ray", there)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert predict(pair_store, *asked, "--to", "parquet") == 2
    assert "pyarrow, which is not installed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_output_has_the_format_that_is_stated_or_its_name_says(
    pair_store: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(pair_store, file, "-o", tmp_path / "out.csv") == 0
    header, row = (tmp_path / "out.csv").read_text().splitlines()
    assert header.startswith("id,formula,energy")
    assert row.startswith("pair,Ar2,-")
    assert predict(pair_store, file, "--to", "sdf") == 0
    assert "$$$$" in capsys.readouterr().out
    assert predict(pair_store, file, "-o", tmp_path / "out.json") == 0
    assert json.loads((tmp_path / "out.json").read_text())["results"][0]["id"] == "pair"


def test_what_a_format_cannot_hold_is_refused(
    pair_store: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(pair_store, file, "--to", "csv", "--properties", "forces") == 2
    assert "csv holds no forces" in capsys.readouterr().err
    assert predict(pair_store, file, "--to", "poscar") == 2
    assert "periodic in all three" in capsys.readouterr().err
    assert predict(pair_store, file, "--json", "--to", "xyz") == 2
    assert "state one" in capsys.readouterr().err


def test_smiles_have_conformers(
    pair_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rdkit", reason="RDKit is not installed")
    (tmp_path / "in.smi").write_text("CO methanol\nCC( torn\nC\n")
    options = ("--conformers", 2, "--seed", 7, "--to", "csv")
    assert predict(pair_store, tmp_path / "in.smi", *options) == 1
    _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split(",")[:2] for row in rows] == [
        ["methanol:0", "CH4O"],
        ["methanol:1", "CH4O"],
        ["torn", ""],
        ["C:0", "CH4"],
        ["C:1", "CH4"],
    ]
    assert predict(pair_store, tmp_path / "in.smi", "--conformers", 0) == 2
    assert "conformers: 0; at least 1" in capsys.readouterr().err


def test_what_is_out_of_domain_is_told_or_refused(
    tmp_path: Path, pair_card: ModelCard, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained_on = TrainingRange(most_atoms=2, closest={"Ar-Ar": 3.6}, farthest={"Ar": 4.2})
    with ModelStore(tmp_path / "store").publish(
        pair_card.model_copy(update={"trained_on": trained_on})
    ):
        pass
    file.write_text(PAIR + PAIR.replace("3.9", "4.5"))
    assert predict(tmp_path / "store", file) == 0
    assert "out_of_domain: atom 0 (Ar) is 4.50 Å" in capsys.readouterr().err
    assert predict(tmp_path / "store", file, "--on-ood", "error") == 1
    said = capsys.readouterr().err
    assert "1 of 2 structures answered" in said
    assert "refused: out_of_domain 1" in said
