"""Errors on files that have energies alone, forces alone, or some of both."""

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from app.cli.main import main

NO_ENERGY = "no frame has energies: errors of energies are left out"
NO_FORCES = "no frame has forces: errors of forces are left out"


def frames(labels: list[dict[str, object]]) -> list[Atoms]:
    dimers = []
    for i, results in enumerate(labels):
        atoms = Atoms("ArNe", [[0, 0, 0], [0, 0, 3.5 + 0.1 * i]])
        atoms.calc = SinglePointCalculator(atoms, **results)  # type: ignore[no-untyped-call]
        dimers.append(atoms)
    return dimers


ENERGY: dict[str, object] = {"energy": -0.01}
FORCES: dict[str, object] = {"forces": np.zeros((2, 3))}


def evaluate(store: Path, data: Path, *options: str) -> int:
    return main(["evaluate", "pairs", str(data), "--model-store", str(store), *options])


@pytest.mark.parametrize(
    ("labels", "left_out", "known"),
    [
        ([ENERGY] * 3, [NO_FORCES], {"energy_mae"}),
        ([FORCES] * 3, [NO_ENERGY], {"forces_mae"}),
        ([ENERGY | FORCES] * 3, [], {"energy_mae", "forces_mae"}),
        (
            [ENERGY, FORCES, FORCES],
            [
                "2 frames have no energies: errors of energies are those of the other 1",
                "1 frames have no forces: errors of forces are those of the other 2",
            ],
            {"energy_mae", "forces_mae"},
        ),
    ],
)
def test_what_is_not_labelled_is_left_out_and_said(
    pair_store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    labels: list[dict[str, object]],
    left_out: list[str],
    known: set[str],
) -> None:
    data, picture = tmp_path / "data.xyz", tmp_path / "parity.png"
    ase.io.write(data, frames(labels))
    assert (
        evaluate(
            pair_store, data, "--json", "--plot", str(picture), "--csv", str(tmp_path / "all.csv")
        )
        == 0
    )
    report = json.loads(capsys.readouterr().out)
    assert report["left_out"] == left_out
    assert {"energy_mae", "forces_mae"} & report.keys() == known
    assert all(np.isfinite(report[name]) for name in known)
    assert picture.stat().st_size > 0
    assert evaluate(pair_store, data) == 0
    page = capsys.readouterr().out
    assert all(line in page for line in left_out)
    assert "nan" not in page


def test_an_npz_of_energies_or_forces(
    pair_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    geometry = {"z": [18, 10], "R": [[[0, 0, 0], [0, 0, 3.5]]]}
    for name, values, told in (("E", [-0.01], NO_FORCES), ("F", np.zeros((1, 2, 3)), NO_ENERGY)):
        data = tmp_path / f"{name}.npz"
        np.savez(data, **geometry, **{name: values})
        assert evaluate(pair_store, data, "--set", "units.energy=eV") == 0
        assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("labels", "options", "told"),
    [
        ([ENERGY, {}], [], "data.xyz, frame 1: no energy and no forces"),
        ([FORCES], ["--set", "keys.energy=E"], "data.xyz, frame 0: no energy"),
        ([ENERGY], ["--set", "keys.forces=F"], "data.xyz, frame 0: no forces"),
    ],
)
def test_what_is_stated_or_lacks_everything_is_not_left_out(
    pair_store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    labels: list[dict[str, object]],
    options: list[str],
    told: str,
) -> None:
    data = tmp_path / "data.xyz"
    ase.io.write(data, frames(labels), format="extxyz")
    assert evaluate(pair_store, data, *options) == 1
    assert told in capsys.readouterr().err
