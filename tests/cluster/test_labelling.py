"""Labels of workers on a cluster are those of processes here, whatever the calculator does."""

import json
from pathlib import Path

import numpy as np
from ase.calculators.lj import LennardJones
from ase.io import read, write

from app.cli.main import main
from app.labelling.output import failures_path
from tests.labelling.frames import argon

ODD = "tests.labelling.odd_calculators:Odd"
DOINGS = ("nothing", "crash", "nothing", "fail", "hang", "nothing")


def test_what_fails_costs_itself_alone(address: str, tmp_path: Path, capsys) -> None:
    """And a run that goes on asks for nothing again."""
    given, output = tmp_path / "in.xyz", tmp_path / "out.xyz"
    write(given, [argon(index, do) for index, do in enumerate(DOINGS)])
    options = {"log": str(tmp_path / "log"), "sigma": 1.0, "rc": 5.0}
    command = ["label", str(given), "--output", str(output), "--calculator", ODD]
    command += ["--options", json.dumps(options), "--timeout", "8", "--ray", address]
    assert main([*command, "--processes", "2"]) == 0
    assert "3 frames labelled, 3 failed" in capsys.readouterr().out
    frames = read(output, ":")
    assert [frame.info["name"] for frame in frames] == ["frame 0", "frame 2", "frame 5"]
    for frame in frames:
        expected = frame.copy()
        expected.calc = LennardJones(sigma=1.0, rc=5.0)
        np.testing.assert_allclose(frame.get_forces(), expected.get_forces(), atol=1e-8)
    failed = [json.loads(line) for line in failures_path(output).read_text().splitlines()]
    assert [(each["frame"], each["reason"].split(",")[0]) for each in failed] == [
        (1, "the worker process died"),
        (3, "CalculationFailed: the charges do not converge"),
        (4, "no answer within 8 s"),
    ]
    asked = (tmp_path / "log").read_text().split()
    assert main(command) == 0
    assert (tmp_path / "log").read_text().split() == asked


def test_a_calculator_that_is_not_there_is_named(address: str, tmp_path: Path, capsys) -> None:
    given = tmp_path / "in.xyz"
    write(given, [argon(0)])
    command = ["label", str(given), "--output", str(tmp_path / "out.xyz"), "--ray", address]
    assert main([*command, "--calculator", "nowhere.at:All", "--processes", "1"]) == 2
    assert "cannot import nowhere.at" in capsys.readouterr().err
