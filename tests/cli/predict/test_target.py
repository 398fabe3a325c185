"""Where results go: a file that is there stays as it is unless the command comes to its end."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.main import main
from tests.api.server import Running, running

PAIR = "2\nid=%s\nAr 0 0 0\nAr 0 0 3.9\n"
BULK = '1\nLattice="4 0 0 0 4 0 0 0 4"\n%s 0 0 0\n'
GIVEN = {
    "pair.xyz": PAIR % "pair",
    "bulk.xyz": BULK % "Ar",
    "two.xyz": BULK % "Ar" + BULK % "Ar",
    "gold.xyz": BULK % "Au",
    "torn.cif": "data_torn\n",
}


@pytest.fixture(scope="module")
def service(pair_store: Path) -> Iterator[Running]:
    with running(pair_store) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files to read, and one that must not be lost."""
    for name, content in GIVEN.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "keep.vasp").write_text("precious")
    return tmp_path


@pytest.mark.parametrize("by_service", [False, True])
@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        (
            ["pair.xyz"],
            2,
            "nothing can be written as poscar: a POSCAR holds what is periodic in all three "
            "directions; ask for xyz or json",
        ),
        (["two.xyz"], 2, "poscar holds one structure, and there are several; write xyz or json"),
        (["bulk.xyz", "pair.xyz"], 2, "poscar holds one structure, and there are several"),
        (["gold.xyz"], 1, "nothing is written, as poscar holds no structure without an answer"),
        (["torn.cif"], 1, "nothing is written, as poscar holds no structure without an answer"),
        (["bulk.xyz", "--model", "nobody"], 3, "no model 'nobody'"),
    ],
)
def test_what_is_refused_leaves_the_file_that_is_there(
    service: Running,
    pair_store: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    given: list[str],
    code: int,
    told: str,
    by_service: bool,
) -> None:
    place = (
        ["--server", f"http://127.0.0.1:{service.port}"]
        if by_service
        else ["--model-store", str(pair_store)]
    )
    files = [str(folder / each) if each in GIVEN else each for each in given]
    words = ["predict", "--model", "pairs", *files, "-o", str(folder / "keep.vasp"), *place]
    assert main(words) == code
    assert told in capsys.readouterr().err
    assert (folder / "keep.vasp").read_text() == "precious"
    assert sorted(os.listdir(folder)) == sorted((*GIVEN, "keep.vasp"))


def test_what_can_be_written_takes_the_place(pair_store: Path, folder: Path) -> None:
    words = ["predict", str(folder / "bulk.xyz"), "--model-store", str(pair_store)]
    assert main([*words, "--model", "pairs", "-o", str(folder / "keep.vasp")]) == 0
    assert "model=pairs@2" in (folder / "keep.vasp").read_text()
    assert sorted(os.listdir(folder)) == sorted((*GIVEN, "keep.vasp"))


def test_what_is_written_beside_the_output_is_no_input(
    pair_store: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half = folder / "out.xyz.unfinished"
    half.write_text(GIVEN["pair.xyz"])
    words = ["predict", str(half), "--format", "xyz", "--model-store", str(pair_store)]
    assert main([*words, "-o", str(folder / "out.xyz")]) == 2
    assert "is one of the files to read" in capsys.readouterr().err
    assert half.read_text() == GIVEN["pair.xyz"]
