"""`equipot predict` and `relax` with a service that answers: the same files as without one."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from app.cli.main import main
from equipot import Retry
from tests.api.server import Running, running


@pytest.fixture(scope="module")
def service(pair_store: Path) -> Iterator[Running]:
    with running(pair_store) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of several formats, with a structure that no model knows."""
    argon = Atoms("Ar2", [[0, 0, 0], [0, 0, 3.9]])
    (tmp_path / "given").mkdir()
    frames = [argon, Atoms("Au"), argon]
    for number, frame in enumerate(frames):
        frame.info["id"] = f"n{number}"
    ase.io.write(tmp_path / "given" / "a.xyz", frames, format="extxyz")
    ase.io.write(tmp_path / "given" / "b.cif", bulk("Ar", a=5.2))
    (tmp_path / "given" / "c.smi").write_text("O water\n")
    return tmp_path


def url(service: Running) -> str:
    return f"http://127.0.0.1:{service.port}"


def without_noise(text: str) -> str:
    """What does not tell a service from a process: last digits, and other models that are served."""
    text = text.replace("; no model that is served has all elements of the structure", "")
    return re.sub(r"-?\d+\.\d+(?:e-?\d+)?", lambda n: f"{round(float(n[0]), 6) + 0.0:.6f}", text)


@pytest.mark.parametrize("options", [[], ["--fmax", "0.001"], ["--properties", "energy,energies"]])
@pytest.mark.parametrize("form", ["json", "xyz", "csv", "sdf"])
def test_the_same_is_written(
    service: Running, pair_store: Path, folder: Path, form: str, options: list[str]
) -> None:
    if form in ("csv", "sdf") and options[:1] == ["--properties"]:
        pytest.skip("the format does not hold them all")
    written = []
    for place in (["--server", url(service)], ["--model-store", str(pair_store)]):
        output = folder / f"out.{form}"
        words = ["predict", str(folder / "given" / "*"), "--model", "pairs", "-o", str(output)]
        assert main([*words, *options, *place]) == 1  # one structure is refused
        written.append(without_noise(output.read_text()))
    assert written[0] == written[1]


def test_relax_is_a_command(service: Running, folder: Path) -> None:
    output = folder / "out.xyz"
    given = str(folder / "given" / "b.cif")
    assert main(["relax", given, "-o", str(output), "--server", url(service), "--cell"]) == 0
    (relaxed,) = ase.io.read(output, ":")
    assert relaxed.info["converged"]
    assert np.abs(relaxed.get_stress()).max() < 0.01


def test_a_run_that_was_stopped_goes_on(
    service: Running, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, half = folder / "out.json", folder / "out.json.unfinished"
    words = [
        "predict",
        str(folder / "given" / "a.xyz"),
        "-o",
        str(output),
        "--server",
        url(service),
    ]
    monkeypatch.setattr("app.cli.predict.finish", lambda _: None)
    assert main(words) == 1
    whole = half.read_text()
    half.write_text("".join(whole.splitlines(keepends=True)[:2]))
    assert main([*words, "--resume"]) == 1
    assert json.loads(half.read_text()) == json.loads(whole)
    assert main([*words, "--resume", "--fmax", "0.1"]) == 2


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--server", "here"], 2, "expected as in http://"),
        (["--server", "http://127.0.0.1:9", "--threads", "2"], 2, "--threads: of this process"),
    ],
)
def test_wrong_use(
    folder: Path, words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(folder / "given" / "a.xyz"), *words]) == code
    assert told in capsys.readouterr().err


def test_a_service_that_is_not_there_is_named_at_once_and_at_the_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("equipot.client.Retry", lambda: Retry(attempts=3, first_wait=0.001))
    words = ["predict", str(folder / "given" / "a.xyz"), "--server", "http://127.0.0.1:1"]
    assert main(words) == 3
    said = capsys.readouterr().err.splitlines()
    refused = "equipot predict: http://127.0.0.1:1 does not answer: [Errno 111] Connection refused"
    assert said == [
        f"{refused}; it is tried again up to 2 times, with waits of 0 s in all",
        refused,
    ]


def test_a_model_that_is_not_served(
    service: Running, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = str(folder / "given" / "a.xyz")
    assert main(["predict", given, "--server", url(service), "--model", "nothing"]) == 3
    assert "unknown_model" in capsys.readouterr().err


def test_without_a_name_the_first_default_answers(pair_store: Path, folder: Path) -> None:
    output = folder / "out.csv"
    with running(pair_store, default_model="pairs@1,pairs") as server:
        words = ["predict", str(folder / "given" / "b.cif"), "--server", url(server)]
        assert main([*words, "-o", str(output)]) == 0
    assert output.read_text().splitlines()[1].endswith(",pairs@1")


def test_a_pattern_that_matches_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(folder / "*.none")]) == 3
    assert "no file matches" in capsys.readouterr().err
