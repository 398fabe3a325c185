"""A message-passing model over worker processes, and layer by layer, is the whole one.

Its energies come from atoms two cutoffs away, so that halos are evaluated, and dropped again. It is of
float64: what its forces lose by a halo that is too small would be lost in the rounding of float32.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from app.atoms.prediction import StructurePrediction
from app.atoms.structure import Structure
from app.backends import Backend
from app.formats.slabs import Columns, Head, Writer
from app.space.evaluator import Evaluator, Transport
from app.space.opening import Opening
from app.space.pool import Pool
from app.space.stream import stream
from app.space.structure import Space
from app.store.card import ARTIFACT, ENERGIES
from app.store.store import ModelStore
from app.training.export.onnx import cut_energies, export_onnx
from app.training.models import NequIPConfig, Statistics, build_model
from equipot import EquipotCalculator
from tests.contracts import assert_same, assert_same_energies
from tests.structures import BULK, WIRE
from tests.tolerances import TOLERANCES
from tests.training.cards import ELEMENTS, random_card
from tests.training.pieces import at_once

CUTOFF, NAME = 2.7, "passing"
SPACING, LONG = 2.3, 36
"""Å, and atoms along the rod: more than seven of the halos of 10.8 Å that its forces need."""
TOLERANCE = TOLERANCES["float64"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a NequIP of few channels, two layers deep."""
    config = NequIPConfig(
        cutoff=CUTOFF, irreps="4x0e + 2x1o", l_max=1, num_layers=2, radial_hidden=(4,)
    )
    statistics = Statistics(
        elements=ELEMENTS, atomic_energies={}, force_scale=1.3, average_neighbors=6.0
    )
    described = {
        "name": NAME,
        "architecture": "nequip",
        "receptive_field": config.receptive_field,
        "energies_alone": True,
    }
    root = tmp_path_factory.mktemp("store")
    card = random_card(CUTOFF).model_copy(update=described)
    with ModelStore(root).publish(card) as publication:
        export_onnx(build_model(config, statistics, torch.float64), publication.folder / ARTIFACT)
        cut_energies(publication.folder / ARTIFACT, publication.folder / ENERGIES)
    return root


@pytest.fixture(scope="module")
def backend(store: Path) -> Backend:
    backend = Opening(NAME, store, threads=1)()
    assert not backend.is_strictly_local
    return backend


@pytest.fixture(scope="module")
def pool(store: Path) -> Iterator[Pool]:
    pool = Pool(Opening(NAME, store, threads=2), 2)
    yield pool
    pool.close()


def rod(pbc: np.ndarray = BULK) -> Structure:
    """Longest along z."""
    rng = np.random.default_rng(4)
    sites = np.array([[x, y, z] for z in range(LONG) for x in range(2) for y in range(2)])
    positions = SPACING * sites + rng.uniform(-0.2, 0.2, sites.shape)
    cell = SPACING * np.diag(np.where(pbc, [2.0, 2.0, LONG], 0.0))
    return Structure(rng.choice([1, 6, 7, 8], len(sites)), positions, cell, pbc)


@pytest.fixture(scope="module", params=[BULK, WIRE], ids=["bulk", "wire"])
def both(request: pytest.FixtureRequest, backend: Backend) -> tuple[Structure, StructurePrediction]:
    """A structure, and its prediction as a whole."""
    structure = rod(request.param)
    return structure, at_once(backend, structure)


def test_worker_processes(
    both: tuple[Structure, StructurePrediction], backend: Backend, pool: Pool
) -> None:
    structure, whole = both
    space = Space(backend.card, False, pool)
    assert_same(space.evaluate(structure), whole, TOLERANCE)
    assert_same_energies(space.evaluate(structure, derivatives=False), whole, TOLERANCE)


@pytest.mark.parametrize("derivatives", [True, False])
@pytest.mark.parametrize("over_workers", [False, True])
def test_layers(
    both: tuple[Structure, StructurePrediction],
    backend: Backend,
    pool: Pool,
    over_workers: bool,
    derivatives: bool,
    tmp_path: Path,
) -> None:
    structure, whole = both
    transport: Transport = pool if over_workers else Evaluator(backend)
    n = len(structure)
    head = Head(n, structure.cell, structure.pbc)
    with Writer(tmp_path / "in.columns", head, ("numbers", "positions")) as writer:
        writer.write("numbers", 0, structure.numbers)
        writer.write("positions", 0, structure.positions)
    source, output = Columns(tmp_path / "in.columns"), tmp_path / "out.columns"
    regions: list[int] = []
    totals = stream(
        source,
        output,
        backend.card,
        False,
        transport,
        derivatives,
        progress=lambda done, _: regions.append(done),
        layer_atoms=40,
    )
    assert len(regions) == (8 if over_workers else 4)
    out = Columns(output)
    forces = out.read("forces", 0, n) if derivatives else None
    told = StructurePrediction(totals.energy, out.read("energies", 0, n), forces, totals.stress)
    (assert_same if derivatives else assert_same_energies)(told, whole, TOLERANCE)


def test_the_calculator(both: tuple[Structure, StructurePrediction], store: Path) -> None:
    structure, whole = both
    atoms = Atoms(structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc)
    atoms.calc = EquipotCalculator(NAME, store=store, threads=2, workers=2)
    atoms.calc.asked.model._space.least = len(atoms)
    np.testing.assert_allclose(atoms.get_forces(), whole.forces, atol=TOLERANCE.forces)
