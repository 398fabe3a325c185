"""The name of an output says how it is written, or is refused."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli.main import main
from app.cli.predict.forms import OF_TASKS, PREDICTED, named_form
from app.errors import InvalidRequest

PAIR = "2\nid=pair\nAr 0 0 0\nAr 0 0 3.9\n"


@pytest.fixture
def given(tmp_path: Path) -> Path:
    path = tmp_path / "in.xyz"
    path.write_text(PAIR)
    return path


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("out.xyz", "xyz"),
        ("out.extxyz", "xyz"),
        ("out.SDF", "sdf"),
        ("out.mol", "sdf"),
        ("out.cif.gz", "cif"),
        ("out.vasp", "poscar"),
        ("CONTCAR", "poscar"),
        ("POSCAR.csv", "csv"),
        ("out.parquet", "parquet"),
        ("out.json.xz", "json"),
        ("s3://bucket/out.csv", "csv"),
        ("folder.pdb/out", None),
        ("out", None),
        ("out.gz", None),
        ("out.foo", None),
        ("out.log", None),
        ("out.txt", None),
    ],
)
def test_the_format_that_a_name_says(name: str, form: str | None) -> None:
    assert named_form(name, PREDICTED) == form


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("out.pdb", "pdb"),
        ("out.mol2.gz", "mol2"),
        ("out.gjf", "gaussian"),
        ("out.smi", "smiles"),
        ("out.traj", "traj"),
        ("out.db", "db"),
        ("out.jsonl", "lines"),
        ("out.msgpack", "msgpack"),
    ],
)
def test_a_format_that_is_known_and_not_written_is_refused(name: str, kind: str) -> None:
    can = r"\*\.xyz, \*\.sdf, \*\.cif, \*\.vasp, \*\.csv, \*\.parquet or \*\.json, or say --to$"
    with pytest.raises(InvalidRequest, match=rf"^--output {name}: {kind} cannot be .* {can}"):
        named_form(name, PREDICTED)
    with pytest.raises(InvalidRequest, match=r"name it \*\.txt or \*\.json, or say --to$"):
        named_form(name, OF_TASKS)


def test_commands_refuse_names_before_anything_is_done(
    pair_store: Path, given: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = [str(given), "--model-store", str(pair_store), "--model", "pairs"]
    scan = ["scan", *shared, "--atoms", "0", "1", "--range-A", "3.5", "4.5"]
    for words, name, told in (
        (["predict", *shared], "out.pdb", "pdb cannot be written here"),
        (["predict", *shared], "out.data", "lammps-data cannot be written here; name it *.xyz"),
        (["relax", *shared], "out.traj", "traj cannot be written here"),
        (scan, "out.csv", "csv cannot be written here; name it *.txt or *.json, or say --to"),
    ):
        output = given.parent / name
        assert main([*words, "-o", str(output)]) == 2
        assert told in capsys.readouterr().err
        assert not output.exists()
    assert main(["predict", *shared, "-o", str(given.parent / "out.pdb"), "--to", "xyz"]) == 0
    assert (given.parent / "out.pdb").read_text().startswith("2\n")


@pytest.mark.parametrize(
    ("suffix", "opened"), [(".gz", gzip.open), (".bz2", bz2.open), (".xz", lzma.open)]
)
@pytest.mark.parametrize("form", ["xyz", "csv", "json", "sdf"])
def test_an_output_is_compressed_as_its_name_says(
    pair_store: Path, given: Path, suffix: str, opened: Callable[..., object], form: str
) -> None:
    given.write_text(PAIR * 3)
    words = ["predict", str(given), "--model-store", str(pair_store), "--model", "pairs"]
    plain, output = given.parent / f"out.{form}", given.parent / f"out.{form}{suffix}"
    assert main([*words, "-o", str(plain)]) == 0
    assert main([*words, "-o", str(output)]) == 0
    with opened(output) as file:  # type: ignore[attr-defined]
        assert file.read() == plain.read_bytes()


def test_a_compressed_output_can_be_read_again_and_not_be_resumed(
    pair_store: Path, given: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", "--model-store", str(pair_store), "--model", "pairs", "-o"]
    first, second = given.parent / "first.xyz.gz", given.parent / "second.json"
    assert main([*words, str(first), str(given)]) == 0
    assert main([*words, str(second), str(first)]) == 0
    assert json.loads(second.read_text())["results"][0]["id"] == "pair"
    assert main([*words, str(first), str(given), "--resume"]) == 2
    assert "is compressed, and cannot be gone on with" in capsys.readouterr().err
