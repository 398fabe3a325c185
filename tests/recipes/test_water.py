"""The benchmark of liquid water runs a model, goes on where it was stopped, and counts neighbours
right.
"""

import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import write

from equipot import EquipotCalculator
from recipes.water import water
from recipes.water.distances import longest_bond, radial_distribution
from recipes.water.dynamics import Dynamics, Unstable
from tests.paths import MODEL_STORE

# The bundled model, of molecules, stands in for one of liquid water.
pytestmark = pytest.mark.filterwarnings("ignore:the structure is periodic")


@pytest.fixture
def box() -> Atoms:
    """Eight molecules of water on a lattice, as dense as the liquid."""
    return molecule("H2O", cell=[3.1] * 3, pbc=True) * (2, 2, 2)


@pytest.fixture
def command(tmp_path, monkeypatch, box):
    write(tmp_path / "test.xyz", [box])

    def run(*options: str) -> None:
        fixed = [
            "water",
            "organic-xtb",
            "--model-store",
            str(MODEL_STORE),
            "--test",
            str(tmp_path / "test.xyz"),
        ]
        monkeypatch.setattr(
            sys,
            "argv",
            [*fixed, "--step", "1", "--picoseconds", "0.02", "--skip", "0.01", *options],
        )
        water.main()

    return run


def test_a_table_and_two_pictures_come_out_of_both_halves(command, tmp_path, capsys):
    command("--output", str(tmp_path / "md"), "--figures", str(tmp_path))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| | NVT | NVE | reference |"
    assert (
        next(line for line in lines if line.startswith("| frames averaged"))
        == "| frames averaged | 1 | 2 | 1 |"
    )
    assert {path.name for path in tmp_path.glob("*.png")} == {"water-rdf.png", "water-energy.png"}
    with pytest.raises(SystemExit, match="holds a run with another seed"):
        command("--output", str(tmp_path / "md"), "--seed", "1")


def test_a_run_goes_on_where_it_was_stopped(box, tmp_path, monkeypatch):
    monkeypatch.setattr("recipes.water.dynamics.PART", 2.0)
    whole, parts = (Dynamics(tmp_path / name, 0.5, 2, 300.0, 0.01) for name in ("whole", "parts"))
    for dynamics, lengths in ((whole, (6,)), (parts, (2, 6))):
        dynamics.folder.mkdir()
        for frames in lengths:
            atoms = box.copy()
            # the same bits take the same runtime, which auto chooses by measurement
            atoms.calc = EquipotCalculator("organic-xtb", MODEL_STORE, threads=1, backend="onnx")
            for name in ("nvt", "nve"):
                dynamics.run(atoms, name, frames if name == "nvt" else lengths[-1] - lengths[0])
    expected, actual = (dynamics.trajectory("nvt") for dynamics in (whole, parts))
    assert len(expected.seconds) == 3
    np.testing.assert_array_equal(actual.positions, expected.positions)
    np.testing.assert_array_equal(actual.kinetic, expected.kinetic)


def test_a_collapse_ends_the_dynamics_with_its_reason(box, tmp_path):
    box.positions[3] = box.positions[0] + 0.1
    box.calc = EquipotCalculator("organic-xtb", MODEL_STORE, threads=1)
    with pytest.raises(
        Unstable, match=r"nvt-000, before frame 0: atom 0 \(O\) and atom 3 \(O\) are"
    ):
        Dynamics(tmp_path, 0.5, 2, 300.0, 0.01).run(box, "nvt", 2)
    assert Dynamics(tmp_path, 0.5, 2, 300.0, 0.01).trajectory("nvt") is None


def test_the_distribution_of_an_ideal_gas_is_one_and_that_of_a_lattice_has_its_shells():
    rng = np.random.default_rng(0)
    gas = [Atoms("O64", rng.uniform(0, 12, (64, 3)), cell=[12] * 3, pbc=True) for _ in range(200)]
    distances, density = radial_distribution(gas, 8, width=0.5)
    np.testing.assert_allclose(density[2:], 1.0, atol=0.05)
    lattice = Atoms("O", cell=[3] * 3, pbc=True) * (4, 4, 4)
    distances, density = radial_distribution([lattice], 8, width=0.5)
    neighbours = (
        density * 63 / 12**3 * 4 / 3 * np.pi * ((distances + 0.25) ** 3 - (distances - 0.25) ** 3)
    )
    coordination = {
        round(r, 2): round(n) for r, n in zip(distances, neighbours, strict=True) if n > 0
    }
    assert coordination == {3.25: 6, 4.25: 12, 5.25: 8}


def test_the_longest_bond_is_across_the_boundary(box):
    shifted = box.copy()
    shifted.positions += 3.0
    shifted.wrap()
    assert longest_bond([shifted]) == pytest.approx(0.969, abs=1e-3)
    shifted.positions[1] += shifted.positions[1] - shifted.positions[0]
    assert longest_bond([box, shifted]) > 1.2
