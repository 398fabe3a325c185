"""Runs that are stopped keep what they had and go on, with the bundled model in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import ase.io
import pytest
from ase import Atoms
from ase.build import molecule

from app.cli.main import main
from app.cli.predict.record import Record, beside
from app.places.replacing import half_of
from app.protocol.model_ref import ModelRef
from app.protocol.request import PredictRequest
from app.store.store import ModelStore
from tests.paths import MODEL_STORE, ROOT

NAMES = ("CH3CH2OH", "C6H6", "H2O", "CH3CONH2", "NH3", "CH3COCH3")
COUNT = 90


@pytest.fixture(scope="module")
def molecules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Molecules, one of an element that the model does not know."""
    path = tmp_path_factory.mktemp("given") / "molecules.xyz"
    frames = [molecule(NAMES[i % len(NAMES)]) for i in range(COUNT)]
    for number, atoms in enumerate(frames):
        atoms.rattle(0.05, seed=number)
        atoms.info["id"] = f"m{number}"
    frames[4] = Atoms("Xe", info={"id": "m4"})
    ase.io.write(path, frames, format="extxyz", columns=["symbols", "positions"])
    return path


def command(given: Path, output: Path, *options: str) -> list[str]:
    """Relaxations that share no batch, so that a run which goes on has the same bits."""
    shared = ["--threads", "1", "--deterministic", "--fmax", "0.05", "--optimizer", "lbfgs"]
    store = ["--model-store", str(MODEL_STORE)]
    return ["predict", str(given), "-o", str(output), *shared, *store, *options]


def start(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli.main", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "EQUIPOT_CACHE": ""},
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_results(output: Path, child: subprocess.Popen[str]) -> None:
    """Return once there are some; fail if the process ends before."""
    half = half_of(output)
    while not half.exists() or half.stat().st_size < 5000:
        assert child.poll() is None, child.communicate()[1]
        time.sleep(0.01)


@pytest.fixture(scope="module")
def whole(molecules: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What runs write that nothing stops."""
    outputs = {}
    for form, options in (("xyz", []), ("json", ["--json"])):
        output = tmp_path_factory.mktemp("whole") / f"out.{form}"
        assert main(command(molecules, output, *options)) == 1
        assert not (output.parent / beside(output).name).exists()
        outputs[form] = output.read_bytes()
    return outputs


def count(output: Path) -> int:
    """Whole results of an output that is not there yet, which must be readable."""
    text = half_of(output).read_text()
    return len(json.loads(text)["results"]) if output.suffix == ".json" else text.count("digest=")


@pytest.mark.parametrize("form", ["xyz", "json"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_goes_on_to_the_same_bits(
    molecules: Path,
    whole: dict[str, bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    form: str,
    number: signal.Signals,
) -> None:
    output, options = tmp_path / f"out.{form}", ["--json"] if form == "json" else []
    output.write_text("of before")
    child = start(command(molecules, output, *options))
    wait_for_results(output, child)
    child.send_signal(number)
    said = child.communicate(timeout=60)[1]
    if number != signal.SIGKILL:
        assert child.returncode == 128 + number
        half = half_of(output)
        there = f"; what there is of results is in {half}; go on with --resume"
        assert f"ended by {number.name} before the input did{there}" in said
        assert "structures answered with organic-xtb@3" in said
    assert 0 < count(output) < COUNT
    assert output.read_text() == "of before"
    assert main(command(molecules, output, *options, "--resume")) == 1
    assert output.read_bytes() == whole[form]
    told = capsys.readouterr().err
    assert f"{COUNT - 1} of {COUNT} structures answered" in told
    assert "refused: unsupported_element 1" in told
    assert "were there before" in told
    assert not (output.parent / beside(output).name).exists()


@pytest.mark.parametrize("form", ["xyz", "json"])
@pytest.mark.parametrize("cut", [0, 1, 100, 300, 700, 2000, -1, -5, -300])
def test_whatever_is_left_of_an_output_is_gone_on_with(
    pair_store: Path, tmp_path: Path, form: str, cut: int
) -> None:
    given, output = tmp_path / "in.xyz", tmp_path / f"out.{form}"
    given.write_text("".join(f"2\nid={i}\nAr 0 0 0\nAr 0 0 {3.5 + i / 50}\n" for i in range(20)))
    options = ["--model-store", str(pair_store), "--model", "pairs", *["--json"] * (form == "json")]
    arguments = ["predict", str(given), "-o", str(output), *options]
    assert main(arguments) == 0
    whole = output.read_bytes()
    card = ModelStore(pair_store).load("pairs")
    model = ModelRef("pairs", card.card.version, card.digest)
    Record.of(model, PredictRequest([]), form, [str(given)]).write(beside(output))
    half_of(output).write_bytes(whole[:cut])
    assert main([*arguments, "--resume"]) == 0
    assert output.read_bytes() == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.xyz", output.name]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--fmax", "0.02"], "relax.fmax was 0.05, is 0.02"),
        (["--strict"], "strict was false, is true"),
        (["--properties", "energy"], 'properties was null, is ["energy"]'),
        (["--json"], 'form was "xyz", is "json"'),
        (["--model", "lennard-jones"], 'model was "organic-xtb@3", is "lennard-jones@1", digest'),
    ],
)
def test_another_run_is_refused(
    stopped: Path,
    molecules: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    told: str,
) -> None:
    before = half_of(stopped).read_bytes()
    assert main(command(molecules, stopped, "--resume", *options)) == 2
    said = capsys.readouterr().err
    assert f"--resume: {stopped} was begun otherwise: " in said
    assert told in said
    assert half_of(stopped).read_bytes() == before


def test_another_input_is_refused(
    stopped: Path, molecules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.xyz"
    other.write_text(molecules.read_text().replace("m7", "m8"))
    assert main(command(other, stopped, "--resume")) == 2
    assert "other.xyz has another content" in capsys.readouterr().err
    assert main(["predict", str(other), *command(molecules, stopped, "--resume")[1:]]) == 2
    assert "1 files then, 2 now" in capsys.readouterr().err


def test_an_output_that_is_complete_is_not_resumed(
    molecules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.xyz"
    output.write_text("of somebody else")
    assert main(command(molecules, output, "--resume")) == 2
    assert "is complete, or was made in another way" in capsys.readouterr().err
    assert output.read_text() == "of somebody else"


@pytest.fixture(scope="module")
def stopped(molecules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run that was killed."""
    output = tmp_path_factory.mktemp("stopped") / "out.xyz"
    child = start(command(molecules, output))
    wait_for_results(output, child)
    child.kill()
    child.communicate()
    return output
