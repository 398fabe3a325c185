"""One structure over the workers of a cluster gives what it gives in one piece."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read, write

from app.atoms.structure import Structure
from app.backends import load_backend
from app.cli.main import main
from app.cluster.connection import cluster
from app.cluster.regions import ClusterWorkers, Equipment
from app.cluster.shipping import PackedModel
from app.cluster.workers import Resources
from app.errors import BackendError, UnsupportedElement
from app.formats.slabs import Columns
from app.settings import Settings
from app.space.structure import Space
from app.store.location import bundled_store
from app.store.store import ModelStore, StoredModel

MODEL = "lennard-jones"


def crystal() -> Atoms:
    atoms = bulk("Ar", "fcc", a=5.26, cubic=True) * (6, 6, 6)
    atoms.positions += np.random.default_rng(0).normal(0, 0.1, atoms.positions.shape)
    return atoms


def structure_of(atoms: Atoms) -> Structure:
    return Structure(
        numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell.array, pbc=atoms.pbc
    )


def bundled() -> StoredModel:
    return ModelStore(bundled_store()).load(MODEL)


def equipment() -> Equipment:
    return Equipment(PackedModel.of(bundled()), Settings(threads=1))


def test_energies_forces_and_stress_are_those_of_the_whole(address: str, tmp_path: Path) -> None:
    write(tmp_path / "in.xyz", crystal(), format="extxyz")
    shared = ["predict", str(tmp_path / "in.xyz"), "--model", MODEL]
    shared += ["--model-store", str(bundled_store())]
    output = str(tmp_path / "out.columns")
    assert main([*shared, "-o", str(tmp_path / "whole.xyz"), "--threads", "1"]) == 0
    assert main([*shared, "-o", output, "--ray", address, "--workers", "2"]) == 0
    whole, divided = read(tmp_path / "whole.xyz"), Columns(Path(output))
    assert divided.results["energy"] == pytest.approx(whole.get_potential_energy(), rel=1e-9)
    np.testing.assert_allclose(divided.read("forces", 0, 864), whole.get_forces(), atol=1e-7)
    stress = divided.results["stress"]
    np.testing.assert_allclose(stress, whole.get_stress(voigt=False), atol=1e-10)


def test_a_worker_that_ends_costs_nothing_but_time(address: str) -> None:
    structure = structure_of(crystal())
    backend = load_backend(bundled(), threads=1)
    with cluster(address):
        workers = ClusterWorkers(equipment(), Resources(2))
        space = Space(backend.card, backend.is_strictly_local, workers)
        before = space.evaluate(structure)
        os.kill(workers.processes()[0], signal.SIGKILL)
        after = space.evaluate(structure)
        assert len(set(workers.processes())) == 2
        space.close()
    assert after.energy == pytest.approx(before.energy, rel=1e-12)
    np.testing.assert_allclose(after.forces, before.forces, atol=1e-12)


def test_a_region_that_ends_every_worker_is_an_error(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Doomed:
        def start(self, equipment: Equipment) -> int:
            return os.getpid()

        def answer(self, region: object, derivatives: bool) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr("app.cluster.regions.RegionWorker", Doomed)
    backend = load_backend(bundled(), threads=1)
    with cluster(address):
        workers = ClusterWorkers(equipment(), Resources(1))
        space = Space(backend.card, backend.is_strictly_local, workers)
        with pytest.raises(BackendError, match="and so did another one"):
            space.evaluate(structure_of(crystal()))
        space.close()


def test_what_a_worker_refuses_is_told_as_it_says_it(address: str, tmp_path: Path, capsys) -> None:
    atoms = crystal()
    atoms.numbers[7] = 92
    with cluster(address):
        workers = ClusterWorkers(equipment(), Resources(1))
        backend = load_backend(bundled(), threads=1)
        space = Space(backend.card, backend.is_strictly_local, workers)
        with pytest.raises(UnsupportedElement, match="U"):
            space.evaluate(structure_of(atoms))
        space.close()
