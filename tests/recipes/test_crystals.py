"""What measures models of crystals: noble gases by the bundled Lennard-Jones, metals by ASE's EMT."""

import argparse
import json
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write
from ase.neighborlist import neighbor_list

from app.backends import load_backend
from app.formats.ase_atoms import from_ase
from app.relax.options import GPA
from app.store.store import ModelStore
from equipot import EquipotCalculator
from recipes.crystals import cells, elements, nve, phonons, relaxations, silicon, speed
from recipes.crystals.perturbed import metals
from recipes.measures.model import opened
from tests.paths import MODEL_STORE


@pytest.fixture
def calculator():
    return EquipotCalculator("lennard-jones", MODEL_STORE, threads=1)


@pytest.fixture
def model():
    with opened(
        argparse.Namespace(model="lennard-jones", model_store=MODEL_STORE, threads=1)
    ) as model:
        yield model


def solid(symbol: str, volume: float) -> Atoms:
    """At a volume in Å³ an atom."""
    return bulk(symbol, "fcc", a=(4 * volume) ** (1 / 3))


def argon(volume: float) -> Atoms:
    return solid("Ar", volume)


def test_the_bulk_modulus_of_a_murnaghan_is_found():
    volumes = 20 * np.linspace(0.94, 1.06, 9)
    modulus, prime = 90 * GPA, 4.3
    energies = modulus * volumes / prime * ((20 / volumes) ** prime / (prime - 1) + 1)
    assert elements.bulk_modulus(volumes, energies) == pytest.approx(90, rel=2e-3)


def test_energies_that_only_fall_have_no_bulk_modulus():
    assert elements.bulk_modulus(np.linspace(18, 22, 9), -np.linspace(1, 2, 9)) is None


def test_a_scaled_crystal_keeps_its_shape():
    structure = from_ase(bulk("Mg"))
    larger = elements.scaled(structure, 1.06)
    assert np.linalg.det(larger.cell) == pytest.approx(1.06 * np.linalg.det(structure.cell))
    np.testing.assert_allclose(
        larger.positions @ np.linalg.inv(larger.cell),
        structure.positions @ np.linalg.inv(structure.cell),
        atol=1e-12,
    )


def test_elements_are_relaxed_and_what_a_model_lacks_is_told(model, calculator):
    row, silicon = elements.measured(model, ["Ne", "Si"], 0.0005)
    assert row["converged"]
    volumes = np.array([0.99, 1.01]) * row["volume"]
    pressures = []
    for volume in volumes:
        atoms = solid("Ne", volume)
        atoms.calc = calculator
        pressures.append(-atoms.get_stress()[:3].mean())
    modulus = -row["volume"] * np.diff(pressures)[0] / np.diff(volumes)[0] / GPA
    assert row["bulk_modulus"] == pytest.approx(modulus, rel=0.02)
    assert "Si" in str(silicon["error"])
    assert [found[:2] for found in elements.deviations([row, silicon])] == [
        ("volume", 1),
        ("bulk_modulus", 1),
    ]


def test_magnetic_elements_are_asked_without_their_moments():
    for atoms in elements.crystals(["Fe", "Cr"]).values():
        assert not from_ase(atoms).multiplicity


def test_elements_without_an_answer_have_no_deviations():
    assert elements.deviations([{"element": "Si", "error": "unknown"}]) == []


def test_the_acoustic_phonons_of_argon_are_zero_at_gamma_and_sound_at_the_edges(calculator):
    atoms = argon(34.0)
    found = phonons.frequencies(atoms, calculator, 2)
    assert list(found) == ["G", "X", "L"]
    np.testing.assert_allclose(found["G"], 0, atol=1e-2)
    for point in ("X", "L"):
        assert found[point][0] == pytest.approx(found[point][1], rel=1e-3)
    assert min(found["X"] + found["L"]) > 0.5


def test_a_crystal_is_relaxed_with_its_cell_before_its_phonons(calculator, monkeypatch):
    monkeypatch.setitem(phonons.CRYSTALS, "Ar", ("fcc", 5.4))
    atoms = phonons.relaxed("Ar", calculator)
    assert np.abs(atoms.get_stress()).max() < 1e-4


def test_dynamics_without_a_thermostat_keep_their_energy(calculator):
    atoms = argon(36.0).repeat(3)
    atoms.calc = calculator
    energies = nve.trajectory(atoms, 0.02, temperature=40)
    assert len(energies) == 21
    assert np.ptp(energies) < 1e-4 * len(atoms)


def test_the_drift_is_told(monkeypatch, capsys):
    where = ["--model", "lennard-jones", "--model-store", str(MODEL_STORE)]
    small = ["--element", "Ar", "--cells", "2", "--picoseconds", "0.01"]
    monkeypatch.setattr(sys, "argv", [str(nve.__file__), *where, *small])
    nve.main()
    assert "lennard-jones: 32 Ar, 0.01 ps: drift" in capsys.readouterr().out


def test_relaxations_in_flight_and_by_ase_end_in_the_same_minimum(tmp_path, monkeypatch, capsys):
    solids = [argon(36.0).repeat((2, 1, 1)), bulk("Kr", "fcc", a=5.7), argon(36.0).repeat(3)]
    write(tmp_path / "frames.xyz", solids, format="extxyz")
    arguments = ["--count", "3", "--beside", "3", "--most-atoms", "4", "--fmax", "0.002"]
    where = [
        "--model",
        "lennard-jones",
        "--model-store",
        str(MODEL_STORE),
        "--output",
        str(tmp_path),
    ]
    script = str(relaxations.__file__)
    monkeypatch.setattr(sys, "argv", [script, str(tmp_path / "frames.xyz"), *arguments, *where])
    relaxations.main()
    values = json.loads((tmp_path / "relaxations.json").read_text())["values"]
    assert (values["crystals"], values["atoms"], values["converged"]) == (3, 5, 3)
    assert (values["compared"], values["same_minimum"], values["lower"]) == (3, 3, 0)
    assert values["median_steps"] > 0 < min(values["steps_of_ase"])
    assert "same_minimum" in capsys.readouterr().out


def test_both_kinds_of_cell_variables_relax_metals():
    for cell in cells.FILTERS:
        (steps,) = cells.steps("lbfgs", cell, 1, 0.02, 0.05)
        assert 0 < steps < 100
    assert [len(atoms) for atoms in metals(2)] == [4, 8]


def test_a_step_is_timed_on_the_same_crystals_for_both(calculator):
    samples = speed.samples()
    assert [len(group) for group in samples.values()] == [1, 1, 1, 32]
    assert sum(map(len, samples["Si64"])) == 64
    backend = load_backend(ModelStore(MODEL_STORE).load("lennard-jones"), threads=1)
    group = [argon(36.0), argon(37.0)]
    speed.ours(backend, [from_ase(atoms) for atoms in group])
    speed.package(calculator, group)
    assert calculator.results["energy"] < 0
    calls = []
    pair = speed.medians(lambda: calls.append("a"), lambda: calls.append("b"), 2)
    assert calls == ["a", "b"] * 3
    assert len(pair) == 2


def test_phases_of_silicon_have_their_coordination():
    bonds = []
    for atoms in silicon.phases():
        lengths = neighbor_list("d", atoms, 3.0)
        bonds.append(np.sum(lengths < lengths.min() + 0.2) / len(atoms))
    assert bonds == [4, 6, 6, 12, 8]
