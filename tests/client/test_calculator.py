"""The calculator on a real server, in the programs that it is made for."""

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.md.langevin import Langevin
from ase.mep import NEB
from ase.optimize import BFGS

from app.engine.workers import IN_FLIGHT
from app.store.card import ModelCard
from app.store.store import ModelStore
from app.store.training_range import TrainingRange
from equipot import (
    Client,
    ConnectionFailed,
    EquipotCalculator,
    InvalidStructure,
    OutOfDomain,
    OutOfDomainWarning,
    Retry,
    UnsupportedCharge,
)
from tests.api.server import Gated, Running, running
from tests.client.conftest import url
from tests.paths import MODEL_STORE


def crystal() -> Atoms:
    atoms = bulk("Ar", cubic=True, a=5.2)
    atoms.rattle(0.1, seed=0)
    return atoms


def test_it_says_what_the_model_in_this_process_says(
    service: Running, pair_store: Path, client: Client
) -> None:
    near, far = crystal(), crystal()
    near.calc = EquipotCalculator("pairs@1", pair_store)
    far.calc = EquipotCalculator("pairs@1", client=client)
    np.testing.assert_allclose(far.get_forces(), near.get_forces(), atol=1e-12)
    np.testing.assert_allclose(far.get_stress(), near.get_stress(), atol=1e-12)
    np.testing.assert_allclose(far.get_potential_energies(), near.get_potential_energies())
    assert far.get_potential_energy(force_consistent=True) == far.get_potential_energy()
    assert far.calc.results.keys() == near.calc.results.keys()


def test_energies_alone(client: Client) -> None:
    atoms = crystal()
    atoms.calc = EquipotCalculator(client=client)
    atoms.get_potential_energy()
    assert set(atoms.calc.results) == {"energy", "free_energy", "energies"}


def test_what_atoms_state_is_sent(client: Client) -> None:
    atoms = Atoms("Ar2", [[0, 0, 0], [0, 0, 4]], info={"charge": 1})
    atoms.calc = EquipotCalculator(client=client)
    with pytest.raises(UnsupportedCharge, match="charge 1"):
        atoms.get_potential_energy()
    del atoms.info["charge"]
    atoms.get_potential_energy()
    atoms.info["charge"] = -1
    with pytest.raises(UnsupportedCharge):
        atoms.get_potential_energy()
    del atoms.info["charge"]
    atoms.positions[1, 2] = 0.1
    with pytest.raises(InvalidStructure, match=r"0\.3 Å is needed"):
        atoms.get_forces()


def test_what_is_stated_twice_or_in_vain_is_refused(client: Client) -> None:
    with pytest.raises(ValueError, match="give one of them"):
        EquipotCalculator(url="http://127.0.0.1", client=client)
    with pytest.raises(ValueError, match="threads, device: of a model in this process"):
        EquipotCalculator(client=client, threads=2, device="cuda")
    with pytest.raises(ValueError, match="url: 'here'"):
        EquipotCalculator(url="here")


def test_it_is_copied_and_goes_to_other_processes(service: Running) -> None:
    atoms = crystal()
    atoms.calc = EquipotCalculator(url=url(service))
    expected = atoms.get_forces()
    for other in (copy.deepcopy(atoms), pickle.loads(pickle.dumps(atoms))):
        other.calc.reset()
        np.testing.assert_array_equal(other.get_forces(), expected)
    atoms.calc.reset()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        np.testing.assert_array_equal(pool.submit(Atoms.get_forces, atoms).result(), expected)


def test_threads_share_a_client_and_meet_in_batches(
    gated: tuple[Running, Gated],
) -> None:
    server, backend = gated

    def force(number: int) -> float:
        atoms = Atoms("Ar2", [[0, 0, 0], [0, 0, 3.5 + number / 100]])
        atoms.calc = EquipotCalculator(client=client)
        return float(atoms.get_forces()[0, 2])

    with Client(url(server)) as client, ThreadPoolExecutor(9) as pool:
        backend.close()
        before = server.metric('equipot_batch_structures_count{model="pairs@2"}')
        entered = []
        for number in range(IN_FLIGHT):
            entered.append(pool.submit(force, number))
            assert backend.arrivals.acquire(timeout=60)
        others = [pool.submit(force, number) for number in range(IN_FLIGHT, 9)]
        server.wait_for('equipot_queue_depth{model="pairs@2"}', len(others))
        backend.gate.set()
        together = [answer.result() for answer in (*entered, *others)]
        after = server.metric('equipot_batch_structures_count{model="pairs@2"}')
        assert together == [force(number) for number in range(9)]
    assert IN_FLIGHT < after - before < 9  # those that did not wait, and others together


def test_nobody_there() -> None:
    calculator = EquipotCalculator(client=Client("http://127.0.0.1:9", retry=Retry(attempts=1)))
    with pytest.raises(ConnectionFailed, match="does not answer"):
        Atoms("Ar", calculator=calculator).get_potential_energy()


def test_bfgs(bundled: Running) -> None:
    near, far = molecule("CH3CH2OH"), molecule("CH3CH2OH")
    near.calc = EquipotCalculator("organic-xtb", MODEL_STORE, threads=1)
    far.calc = EquipotCalculator("organic-xtb", url=url(bundled))
    steps = []
    for atoms in (near, far):
        optimizer = BFGS(atoms, logfile=None)
        assert optimizer.run(fmax=0.02)
        steps.append(optimizer.nsteps)
    assert steps[0] == steps[1]
    np.testing.assert_allclose(far.positions, near.positions, atol=1e-4)


def test_a_band_of_images_that_are_computed_at_the_same_time(bundled: Running) -> None:
    start, end = molecule("NH3"), molecule("NH3")
    end.positions[:, 2] *= -1
    images = [start, *(start.copy() for _ in range(5)), end]
    with Client(url(bundled)) as client:
        for image in images:
            image.calc = EquipotCalculator(client=client)
        for atoms in (start, end):
            BFGS(atoms, logfile=None).run(fmax=0.02)
        band = NEB(images, parallel=True, method="improvedtangent")
        band.interpolate()
        assert BFGS(band, logfile=None).run(fmax=0.1, steps=100)
    energies = [image.get_potential_energy() for image in images]
    assert energies[3] == max(energies)
    assert 0.05 < energies[3] - energies[0] < 1.0


def test_langevin(bundled: Running) -> None:
    def trajectory(calculator: EquipotCalculator) -> np.ndarray:
        atoms = molecule("H2O")
        atoms.calc = calculator
        rng = np.random.default_rng(0)
        how = {"temperature_K": 300, "friction": 0.01 / units.fs, "fixcm": False, "rng": rng}
        Langevin(atoms, 0.5 * units.fs, **how).run(20)
        return atoms.positions

    far = trajectory(EquipotCalculator(url=url(bundled)))
    near = trajectory(EquipotCalculator("organic-xtb", MODEL_STORE, threads=1))
    np.testing.assert_allclose(far, near, atol=1e-4)


def test_phonopy(service: Running, client: Client) -> None:
    phonopy = pytest.importorskip("phonopy")
    from phonopy.structure.atoms import PhonopyAtoms

    cell = bulk("Ar", a=5.4)
    (relaxed,) = client.relax(cell, cell=True, fmax=1e-5)
    cell = relaxed.atoms
    unit = PhonopyAtoms(symbols=["Ar"], cell=cell.cell.array, scaled_positions=[[0, 0, 0]])
    phonon = phonopy.Phonopy(unit, np.diag([3, 3, 3]), log_level=0)
    phonon.generate_displacements(distance=0.01)
    supercells = [
        Atoms(each.symbols, each.positions, cell=each.cell, pbc=True)
        for each in phonon.supercells_with_displacements
    ]
    phonon.forces = np.array([r.forces for r in client.predict(supercells).raise_for_errors()])
    phonon.produce_force_constants()
    phonon.run_qpoints([[0, 0, 0], [0.5, 0.5, 0]])
    acoustic, edge = phonon.qpoints.frequencies
    np.testing.assert_allclose(acoustic, 0, atol=0.02)
    assert edge[-1] > 0.5


def test_geometric(bundled: Running, tmp_path: Path) -> None:
    pytest.importorskip("geometric")
    from geometric.ase_engine import EngineASE
    from geometric.molecule import Molecule
    from geometric.optimize import run_optimizer

    start = molecule("H2O")
    start.rattle(0.05, seed=1)
    geometry = Molecule()
    geometry.elem = start.get_chemical_symbols()
    geometry.xyzs = [start.positions]
    engine = EngineASE(geometry, EquipotCalculator(url=url(bundled)))
    found = run_optimizer(
        customengine=engine, input="water", prefix=str(tmp_path / "water"), check=1
    )
    end = Atoms("OH2", found.xyzs[-1], calculator=EquipotCalculator(url=url(bundled)))
    assert np.linalg.norm(end.get_forces(), axis=1).max() < 0.05


def test_sella(bundled: Running) -> None:
    sella = pytest.importorskip("sella")
    ammonia = molecule("NH3")
    ammonia.positions[:, 2] *= 0.1
    ammonia.calc = EquipotCalculator(url=url(bundled))
    assert sella.Sella(ammonia, internal=True, logfile=None).run(fmax=0.05, steps=100)
    flat = ammonia.positions - ammonia.positions.mean(axis=0)
    assert np.linalg.svd(flat)[1][-1] < 0.1


def test_leaving_the_domain_is_told_or_refused(tmp_path: Path, pair_card: ModelCard) -> None:
    trained_on = TrainingRange(most_atoms=2, closest={"Ar-Ar": 3.6}, farthest={"Ar": 4.2})
    with ModelStore(tmp_path).publish(pair_card.model_copy(update={"trained_on": trained_on})):
        pass
    far = Atoms("Ar2", [[0, 0, 0], [0, 0, 4.5]])
    with running(tmp_path) as server, Client(url(server)) as client:
        far.calc = EquipotCalculator(client=client)
        with pytest.warns(OutOfDomainWarning, match=r"atom 0 \(Ar\) is 4\.50 Å"):
            far.get_potential_energy()
        assert far.calc.doubts[0].code == "out_of_domain"
        far.calc = EquipotCalculator(client=client, on_ood="error")
        with pytest.raises(OutOfDomain):
            far.get_potential_energy()
