"""What of a cell may change, beside ASE's filters."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.cell import Cell
from ase.constraints import FixAtoms
from ase.filters import UnitCellFilter

from app.atoms.graph import Graph
from app.atoms.prediction import Prediction
from app.backends.pair import PairBackend
from app.errors import InvalidRequest
from app.formats.ase_atoms import from_ase
from app.relax import RelaxOptions
from app.relax.cells import projector
from app.relax.options import CellFreedom
from app.store.card import ModelCard
from equipot import EquipotCalculator
from tests.relax.relaxing import ASE, MILLI, cluster, relaxed, relaxed_each


@pytest.mark.parametrize("optimizer", ["fire", "lbfgs"])
@pytest.mark.parametrize(
    ("cell", "filtered"),
    [
        ("full", {"scalar_pressure": 0.01}),
        ("isotropic", {"hydrostatic_strain": True}),
        ("lengths", {"mask": [1, 1, 1, 0, 0, 0]}),
    ],
)
def test_cell_freedom_as_in_ase(
    backend: PairBackend, optimizer: Any, cell: CellFreedom, filtered: dict[str, Any]
) -> None:
    crystal = bulk("Ar", cubic=True, a=5.4) * (2, 1, 1)
    crystal.set_cell(crystal.cell @ np.diag([1.03, 0.98, 1.01]), scale_atoms=True)
    crystal.rattle(0.05, seed=1)
    crystal.set_constraint(FixAtoms([0, 3]))
    pressure = filtered.get("scalar_pressure", 0.0)
    options = RelaxOptions(fmax=0.005, steps=500, optimizer=optimizer, cell=cell, pressure=pressure)
    (mine,) = relaxed(backend, [from_ase(crystal)], options)
    crystal.calc = EquipotCalculator(backend)
    theirs = ASE[optimizer](UnitCellFilter(crystal, **filtered), logfile=None)
    assert theirs.run(fmax=0.005, steps=500)
    assert mine.converged
    assert abs(mine.steps - theirs.nsteps) <= 1
    assert abs(mine.prediction.energy - crystal.get_potential_energy()) < MILLI
    np.testing.assert_allclose(mine.structure.cell, crystal.cell, atol=1e-3)
    np.testing.assert_allclose(mine.structure.positions, crystal.positions, atol=1e-3)


def test_angles_of_a_skewed_cell_stay(backend: PairBackend) -> None:
    crystal = from_ase(bulk("Ar", a=5.6) * (2, 2, 2))
    start = replace(crystal, cell=crystal.cell * np.array([[1.05], [0.97], [1.0]]))
    (mine,) = relaxed(backend, [start], RelaxOptions(fmax=0.001, steps=500, cell="lengths"))
    assert mine.converged
    before, after = Cell(start.cell), Cell(mine.structure.cell)
    np.testing.assert_allclose(after.angles(), before.angles(), atol=1e-9)
    assert np.abs(after.lengths() - before.lengths()).max() > 0.05


def test_fixed_axes_stay_and_the_stress_along_the_free_one_goes(backend: PairBackend) -> None:
    start = from_ase(bulk("Ar", cubic=True, a=5.5) * (2, 2, 2))
    (mine,) = relaxed(
        backend, [start], RelaxOptions(fmax=1e-4, steps=500, cell="full", fixed_axes=("a", "b"))
    )
    assert mine.converged
    np.testing.assert_allclose(mine.structure.cell[:2], start.cell[:2], atol=1e-12)
    assert mine.prediction.stress is not None
    assert abs(mine.prediction.stress[2, 2]) < 1e-5
    assert abs(mine.prediction.stress[0, 0]) > 1e-4


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (RelaxOptions(pressure=0.1), "relax.pressure: the cell is fixed"),
        (RelaxOptions(fixed_axes=("a",)), "relax.fixed_axes: the cell is fixed"),
        (RelaxOptions(cell="full", fixed_axes=("a", "b", "c")), "all three axes are fixed"),
        (RelaxOptions(cell="isotropic", fixed_axes=("a",)), "cell 'lengths'"),
    ],
)
def test_contradicting_cell_options_are_refused(
    backend: PairBackend, options: RelaxOptions, told: str
) -> None:
    with pytest.raises(InvalidRequest, match=told):
        relaxed(backend, [from_ase(bulk("Ar", a=5.4))], options)


def test_collapsing_cell_is_stopped(pair_card: ModelCard) -> None:
    class Crushing(PairBackend):
        def __call__(self, graph: Graph) -> Prediction:
            prediction = super().__call__(graph)
            prediction.forces[:] = 0.0
            prediction.stress[:] = 0.5 * np.eye(3)
            return prediction

    (mine,) = relaxed(Crushing(pair_card), [from_ase(bulk("Ar", a=9.0))], RelaxOptions(cell="full"))
    assert "times its first volume" in mine.reason or "apart" in mine.reason
    assert mine.structure.volume > 0.1 * 9.0**3 / 4


def test_cell_of_a_molecule_is_refused(backend: PairBackend) -> None:
    with pytest.raises(InvalidRequest, match="periodic in all three directions"):
        relaxed(backend, [from_ase(cluster(3, 1))], RelaxOptions(cell="full"))


@pytest.mark.parametrize(
    ("options", "dimensions"),
    [
        (RelaxOptions(), 0),
        (RelaxOptions(cell="isotropic"), 1),
        (RelaxOptions(cell="lengths"), 3),
        (RelaxOptions(cell="lengths", fixed_axes=("b",)), 2),
        (RelaxOptions(cell="full"), 9),
        (RelaxOptions(cell="full", fixed_axes=("a", "c")), 3),
    ],
)
def test_the_projector_has_as_many_dimensions_as_are_free(
    options: RelaxOptions, dimensions: int
) -> None:
    onto = projector(from_ase(bulk("Ar", a=5.4)), options)
    assert onto.shape == (9, 9)
    np.testing.assert_allclose(onto, onto.T, atol=1e-14)
    np.testing.assert_allclose(onto @ onto, onto, atol=1e-14)
    assert np.trace(onto) == pytest.approx(dimensions)


def test_a_stress_of_its_own_limit(backend: PairBackend) -> None:
    crystal = bulk("Ar", a=5.6) * (2, 2, 2)
    crystal.set_cell(crystal.cell @ np.diag([1.03, 0.98, 1.01]), scale_atoms=True)
    pressure, tight, loose = 0.002, 2e-6, 2e-4
    options = RelaxOptions(fmax=0.5, steps=500, cell="full", pressure=pressure, smax=tight)
    one, other = relaxed_each(
        backend,
        [
            (from_ase(crystal), options),
            (from_ase(crystal), options.model_copy(update={"smax": loose})),
        ],
    )
    assert one.converged
    assert other.converged
    assert other.steps < one.steps
    left = np.abs(one.prediction.stress + pressure * np.eye(3)).max()
    assert left < tight < np.abs(other.prediction.stress + pressure * np.eye(3)).max() < loose
    assert one.criterion == (
        "largest force on an atom < 0.5 eV/Å, and largest component of the stress that may relax < "
        "2e-06 eV/Å³"
    )
    assert one.fmax < 1e-6


def test_what_may_not_relax_is_not_judged(backend: PairBackend) -> None:
    crystal = from_ase(bulk("Ar", cubic=True, a=5.4))
    options = RelaxOptions(fmax=0.01, steps=500, cell="full", fixed_axes=("a",), smax=1e-5)
    (mine,) = relaxed(backend, [crystal], options)
    assert mine.converged
    stress = np.abs(mine.prediction.stress)
    assert stress[0, 0] > 5e-5
    assert stress[1:, 1:].max() < 1e-5


def test_forces_count_beside_the_stress(backend: PairBackend) -> None:
    crystal = bulk("Ar", cubic=True, a=5.4) * (2, 1, 1)
    crystal.rattle(0.1, seed=1)
    options = RelaxOptions(fmax=0.002, steps=500, cell="full", smax=1.0)
    (mine,) = relaxed(backend, [from_ase(crystal)], options)
    assert mine.converged
    assert np.linalg.norm(mine.prediction.forces, axis=1).max() == pytest.approx(mine.fmax)
    assert 1e-6 < mine.fmax < 0.002


def test_a_limit_of_the_stress_wants_a_cell(backend: PairBackend) -> None:
    with pytest.raises(InvalidRequest, match=r"relax\.smax: the cell is fixed"):
        projector(from_ase(bulk("Ar")), RelaxOptions(smax=0.001))
