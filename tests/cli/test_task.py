"""`equipot thermo`: a task of files, in this process or by a service."""

import json
from pathlib import Path

import pytest

from app.cli import main as command
from app.cli.main import main
from app.tasks import TASKS
from tests.api.server import running
from tests.paths import MODEL_STORE

XYZ = "3\nProperties=species:S:1:pos:R:3 id=water\nO 0 0 0.1\nH 0 0.76 -0.48\nH 0 -0.76 -0.48\n"


def test_each_task_is_a_command() -> None:
    assert set(TASKS) == set(command.TASKS) <= set(command.COMMANDS)


def test_text_and_json_here_and_of_a_service(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EQUIPOT_CACHE", "")
    file = tmp_path / "water.xyz"
    file.write_text(XYZ + "1\nProperties=species:S:1:pos:R:3 id=bad\nSi 0 0 0\n")
    asked = [str(file), "--temperature-K", "350", "--normal-modes"]
    here = ["--model-store", str(MODEL_STORE), "--threads", "1"]
    assert main(["thermo", *asked, *here]) == 1
    told = capsys.readouterr()
    assert told.out.startswith("water\n  treatment ")
    assert "\nbad: unsupported_element: " in told.out
    assert "gibbs_energy_eV" in told.out
    assert "normal_modes" not in told.out
    assert "1 of 2 structures answered" in told.err
    output = tmp_path / "found.json"
    assert main(["thermo", *asked, *here, "-o", str(output)]) == 1
    with running(MODEL_STORE, default_model="organic-xtb", threads=1) as server:
        of_service = ["--server", f"http://127.0.0.1:{server.port}", "--json"]
        assert main(["thermo", *asked, *of_service]) == 1
    (own, _), (served, bad) = (
        json.loads(text)["results"] for text in (output.read_text(), capsys.readouterr().out)
    )
    assert bad["status"] == "error"
    assert len(served["value"]["normal_modes"]) == 3
    for name, value in own["value"].items():
        if isinstance(value, float):
            assert served["value"][name] == pytest.approx(value, abs=1e-2), name


def test_options_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "water.xyz"
    file.write_text(XYZ)
    assert main(["thermo", str(file), "--temperature-K", "0"]) == 2
    assert "--temperature-K: Input should be greater than or equal to 1" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["thermo", str(file), "--to", "xyz"])


@pytest.mark.parametrize(
    ("words", "atoms", "between"),
    [
        (["--atoms", "0", "1", "2", "3", "--range-deg", "-60", "60"], [0, 1, 2, 3], [-60, 60]),
        (["--atoms", "0,1,2,3", "--range-deg", "-60,60"], [0, 1, 2, 3], [-60, 60]),
        (["--atoms", "0,1", "2,3", "--range-deg=-6e1,60"], [0, 1, 2, 3], [-60, 60]),
        (["--atoms", "0,1,", "2", "3", "--range-deg", "-6e1", "6e1"], [0, 1, 2, 3], [-60, 60]),
    ],
)
def test_numbers_are_separated_by_blanks_or_commas(
    words: list[str], atoms: list[int], between: list[float]
) -> None:
    options = command.parser_of("scan").parse_args(["scan", "in.xyz", *words])
    assert (options.task_atoms, options.task_range_deg) == (atoms, between)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["scan", "in.xyz", "--atoms", "0,one"],
            "equipot scan: argument --atoms: '0,one' is no whole number, and no several, as in 0,1; "
            "see equipot scan --help",
        ),
        (
            ["scan", "in.xyz", "--atoms", "0", "1", "--range-A", "1,b"],
            "equipot scan: argument --range-A: '1,b' is no number, and no several, as in 0,1; see "
            "equipot scan --help",
        ),
        (
            ["energies-of", "in.xyz", "--fragments", "0,1"],
            "equipot energies-of: argument --fragments: '0,1' is no list of lists as JSON has it, as "
            "in [[0, 1], [2, 3]]; see equipot energies-of --help",
        ),
    ],
)
def test_what_is_no_list_is_told_in_a_line(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"{told}\n"
