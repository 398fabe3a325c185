"""A structure over several worker processes has the energy, forces and stress of the whole."""

import gc
import os
import signal
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import read, write
from ase.md.verlet import VelocityVerlet
from ase.units import fs, kB

from app.atoms.regions import Region, divide
from app.atoms.structure import Structure
from app.cli.main import main
from app.errors import BackendError, InvalidRequest, UnknownModel
from app.integrations.local import LocalModel
from app.space.evaluator import Evaluator
from app.space.opening import Opening
from app.space.pool import Pool
from app.space.structure import Space
from app.tasks.md.integrator import Motion
from benchmarks.block_dynamics import dynamics, noise_of
from equipot import EquipotCalculator
from equipot.calculator import OutOfDomainWarning
from equipot.errors import InvalidRequest as ClientInvalidRequest
from tests.paths import MODEL_STORE

ARGON = "lennard-jones"


def methanes(side: int, spacing: float = 4.2) -> Atoms:
    cell = molecule("CH4", cell=[spacing] * 3, pbc=True)
    crystal = cell * (side, side, side)
    crystal.positions += np.random.default_rng(0).normal(0, 0.05, crystal.positions.shape)
    return crystal


def argon(side: int) -> Atoms:
    crystal = bulk("Ar", "fcc", a=5.26, cubic=True) * (side, side, side)
    crystal.positions += np.random.default_rng(0).normal(0, 0.1, crystal.positions.shape)
    return crystal


def structure(atoms: Atoms) -> Structure:
    return Structure(atoms.numbers, atoms.positions, np.array(atoms.cell), atoms.pbc)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    pool = Pool(Opening(ARGON, MODEL_STORE, threads=2), 2)
    yield pool
    pool.close()


@pytest.mark.parametrize("model", [ARGON, "organic-xtb"])
def test_the_calculator_divides_atoms_over_workers(model: str) -> None:
    atoms = argon(7) if model == ARGON else methanes(6)
    options = {"store": MODEL_STORE, "threads": 2, "backend": "onnx"}
    answers, told = [], []
    for workers in (0, 2):
        atoms.calc = EquipotCalculator(model, workers=workers, **options)
        with warnings.catch_warnings(record=True) as doubts:
            warnings.simplefilter("always")
            answers.append((atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()))
        told.append([str(doubt.message) for doubt in doubts])
        atoms.calc = None
    (energy, forces, stress), (energy2, forces2, stress2) = answers
    assert abs(energy2 - energy) < 1e-6 * len(atoms)
    np.testing.assert_allclose(forces2, forces, atol=2e-5)
    np.testing.assert_allclose(stress2, stress, atol=1e-7)
    assert told[0] == told[1]
    assert bool(told[0]) is (model != ARGON)


def test_energies_alone(pool: Pool) -> None:
    crystal = structure(argon(6))
    model = LocalModel(ARGON, MODEL_STORE)
    card = model.backend.card
    alone = Space(card, True, pool).evaluate(crystal, derivatives=False)
    whole = Space(card, True, Evaluator(model.backend)).evaluate(crystal)
    assert alone.forces is None
    assert alone.energy == pytest.approx(whole.energy, rel=1e-12)


def test_answers_have_the_same_bits_again(pool: Pool) -> None:
    card = LocalModel(ARGON, MODEL_STORE).backend.card
    one, two = (Space(card, True, pool).evaluate(structure(argon(6))) for _ in range(2))
    assert one.energy == two.energy
    np.testing.assert_array_equal(one.forces, two.forces)


def test_a_worker_that_is_killed_costs_nothing(pool: Pool) -> None:
    crystal = structure(argon(8))
    card = LocalModel(ARGON, MODEL_STORE).backend.card
    expected = Space(card, True, pool).evaluate(crystal)
    regions = divide(Region.of(crystal), 12, card.cutoff, card.cutoff + 1e-6)
    answers = pool.answers(regions, True)
    energy = next(answers)[1].prediction.energy
    os.kill(pool.processes()[0], signal.SIGKILL)
    energy += sum(answer.prediction.energy for _, answer in answers)
    assert energy == pytest.approx(expected.energy, rel=1e-12)


def test_errors_of_workers_are_those_of_this_process(pool: Pool) -> None:
    atoms = argon(6)
    atoms.positions[300] = atoms.positions[7] + [0.05, 0, 0]
    card = LocalModel(ARGON, MODEL_STORE).backend.card
    with pytest.raises(Exception, match=r"atom 7 .*atom 300"):
        Space(card, True, pool).evaluate(structure(atoms))
    assert Space(card, True, pool).evaluate(structure(argon(6))).forces is not None


def test_a_worker_that_cannot_open_the_model() -> None:
    nowhere = Pool(Opening("nobody", MODEL_STORE), 1)
    crystal = structure(argon(3))
    with pytest.raises(UnknownModel, match="nobody"):
        list(nowhere.answers([Region.of(crystal)], True))
    nowhere.close()


def test_a_worker_that_dies_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    broken = Pool(Opening(ARGON, MODEL_STORE), 1)
    with pytest.raises(BackendError, match=r"ended with status 1 .*another one"):
        list(broken.answers([Region.of(structure(argon(2)))], True))
    broken.close()


def test_workers_end_with_the_calculator() -> None:
    calculator = EquipotCalculator(ARGON, store=MODEL_STORE, workers=1)
    pool = calculator.asked.model._space._transport
    (process,) = pool._processes
    del calculator, pool
    gc.collect()
    end = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    assert process.returncode == 0


def test_workers_out_of_range_and_of_a_backend() -> None:
    with pytest.raises(InvalidRequest, match="workers: -1"):
        Pool(Opening(ARGON, MODEL_STORE), -1)
    backend = LocalModel(ARGON, MODEL_STORE).backend
    with pytest.raises(ClientInvalidRequest, match=r"workers.*name of a model"):
        EquipotCalculator(backend, workers=2)
    with pytest.raises(ValueError, match="workers: of a model in this process"):
        EquipotCalculator(url="http://localhost:1", workers=2)


def test_small_structures_stay_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    atoms = argon(2)
    atoms.calc = EquipotCalculator(ARGON, store=MODEL_STORE, workers=1)
    space = atoms.calc.asked.model._space
    monkeypatch.setattr(space, "evaluate", lambda *_: pytest.fail("sent to workers"))
    assert np.isfinite(atoms.get_forces()).all()


def test_the_command_line_divides_a_file(tmp_path: Path) -> None:
    atoms, small = argon(7), argon(1)
    write(tmp_path / "in.xyz", [small, atoms], format="extxyz")
    command = ["predict", str(tmp_path / "in.xyz"), "--model", ARGON]
    command += ["--model-store", str(MODEL_STORE), "--threads", "1", "-o"]
    assert main([*command, str(tmp_path / "one.xyz")]) == 0
    assert main([*command, str(tmp_path / "two.xyz"), "--workers", "2"]) == 0
    ones, twos = (read(tmp_path / name, ":") for name in ("one.xyz", "two.xyz"))
    assert len(twos) == 2
    for one, two in zip(ones, twos, strict=True):
        assert two.get_potential_energy() == pytest.approx(one.get_potential_energy(), rel=1e-12)
        np.testing.assert_allclose(two.get_forces(), one.get_forces(), atol=1e-12)
        np.testing.assert_allclose(two.get_stress(), one.get_stress(), atol=1e-15)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--workers", "0"], "workers: 0; must be from 1 to"),
        (["--workers", "2", "--relax"], "--workers divides single evaluations"),
        (["--workers", "2", "--server", "http://localhost:1"], "--workers: of this process"),
    ],
)
def test_workers_of_the_command_line_that_cannot_be(
    more: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in.xyz", argon(1), format="extxyz")
    assert main(["predict", str(tmp_path / "in.xyz"), "--model", ARGON, *more]) == 2
    assert told in capsys.readouterr().err


def test_dynamics_over_workers_keep_the_energy() -> None:
    """Steps of ASE; each divides the atoms anew, and none crosses a border unseen."""
    atoms = argon(7)
    random = np.random.default_rng(1).normal(size=(len(atoms), 3))
    atoms.set_momenta(random * np.sqrt(atoms.get_masses()[:, None] * kB * 80))
    atoms.calc = EquipotCalculator(ARGON, store=MODEL_STORE, threads=2, workers=2)
    dynamics = VelocityVerlet(atoms, 4.0 * fs)
    energies = []
    dynamics.attach(lambda: energies.append(atoms.get_total_energy()), interval=1)
    dynamics.run(30)
    moved = atoms.get_kinetic_energy()
    assert np.ptp(energies) < 0.002 * moved


@pytest.mark.parametrize(
    ("model", "timestep", "steps"), [(ARGON, 4.0, 30), ("organic-xtb", 0.5, 4)]
)
def test_a_heat_bath_moves_blocks_as_the_whole(model: str, timestep: float, steps: int) -> None:
    """The same random numbers lead to the same place."""
    atoms = argon(7) if model == ARGON else methanes(6)
    motion = Motion.of(atoms.get_masses(), np.ones(len(atoms), bool), timestep, 0.01, 80.0)
    began, ends, energies = atoms.positions.copy(), [], []
    for workers in (0, 2):
        moving = atoms.copy()
        moving.calc = EquipotCalculator(
            model, store=MODEL_STORE, threads=2, backend="onnx", workers=workers
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OutOfDomainWarning)
            energies.append(list(dynamics(moving, motion, steps, noise_of(len(atoms)))))
        ends.append(moving.get_positions())
    assert np.abs(ends[0] - began).max() > 0.02
    np.testing.assert_allclose(ends[1], ends[0], atol=1e-5)
    np.testing.assert_allclose(energies[1], energies[0], atol=1e-6 * len(atoms))
