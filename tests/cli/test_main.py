"""What the command says when it is called in a wrong way, or cannot do what it was asked for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.main import COMMANDS, main
from tests.extras import HIDE, modules_of
from tests.paths import MODEL_STORE, ROOT

MAIN = "import sys; from app.cli.main import main; sys.exit(main(sys.argv[1:]))"


def test_alone_it_says_what_it_can_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    said = capsys.readouterr().err
    assert all(command in said for command in COMMANDS)


def test_models_alone_says_what_it_can_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 2
    said = capsys.readouterr().err
    assert all(f"{action}: " in said for action in ("list", "show", "verify", "calibrate"))


@pytest.mark.parametrize(
    ("command", "extra"),
    [("serve", "serve"), ("train config.yaml", "train"), ("evaluate a b", "train")],
)
def test_what_is_not_installed_is_named_in_a_line(command: str, extra: str) -> None:
    hidden = ",".join(modules_of(extra))
    done = subprocess.run(
        [sys.executable, "-c", HIDE + MAIN, *command.split(), hidden],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"is not installed; pip install 'equipot[{extra}]'" in done.stderr


def test_whoever_stops_reading_hears_nothing_more(tmp_path: Path) -> None:
    given = tmp_path / "many.xyz"
    given.write_text("2\nx\nAr 0 0 0\nAr 0 0 3.9\n" * 3000)
    child = subprocess.Popen(
        [
            *(sys.executable, "-c", MAIN, "predict", str(given)),
            *("--model", "lennard-jones", "--model-store", str(MODEL_STORE)),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    with child.stdout, child.stderr:
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(60) == 141


def test_a_short_answer_nobody_reads_is_quiet_too() -> None:
    command = f"{sys.executable} -m app.cli.main models show | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        env=os.environ | {"PYTHONPATH": str(ROOT), "EQUIPOT_MODEL_STORE": str(MODEL_STORE)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.strip() in ("0", "141")


@pytest.mark.parametrize(
    "words",
    [
        ["thermo", "none.xyz", "--temperature", "300"],
        ["relax", "none.xyz", "--optim", "fire"],
        ["jobs", "list", "--lim", "3"],
    ],
)
def test_options_are_not_abbreviated(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(words)
    assert "unrecognized arguments" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_takes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"equipot {command}" in capsys.readouterr().out
