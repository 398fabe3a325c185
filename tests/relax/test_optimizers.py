"""FIRE and L-BFGS beside ASE's, and which optimiser suits a structure."""

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.filters import UnitCellFilter

from app.backends.pair import PairBackend
from app.formats.ase_atoms import from_ase
from app.relax import RelaxOptions
from app.relax.choice import optimizer_for
from app.relax.internal import Internal
from app.relax.optimizers import Optimizer, ScaledLbfgs
from equipot import EquipotCalculator
from tests.relax.relaxing import ASE, MILLI, cluster, relaxed, relaxed_each, strained_crystal


@pytest.mark.parametrize("optimizer", ["fire", "lbfgs"])
class TestAgainstAse:
    def test_clusters(self, backend: PairBackend, optimizer: str) -> None:
        clusters = [cluster(n, n) for n in (2, 3, 7, 13, 20)]
        options = RelaxOptions(fmax=0.005, steps=500, optimizer=optimizer)  # type: ignore[arg-type]
        ours = relaxed(backend, [from_ase(c) for c in clusters], options)
        for atoms, mine in zip(clusters, ours, strict=True):
            atoms.calc = EquipotCalculator(backend)
            theirs = ASE[optimizer](atoms, logfile=None)
            assert theirs.run(fmax=0.005, steps=500)
            assert mine.converged
            assert mine.reason == "converged"
            assert abs(mine.prediction.energy - atoms.get_potential_energy()) < MILLI
            assert abs(mine.steps - theirs.nsteps) <= 1
            assert mine.fmax == pytest.approx(np.linalg.norm(mine.prediction.forces, axis=1).max())
            np.testing.assert_allclose(mine.structure.positions, atoms.positions, atol=1e-3)

    def test_cell(self, backend: PairBackend, optimizer: str) -> None:
        crystal = strained_crystal()
        options = RelaxOptions(fmax=0.005, steps=500, optimizer=optimizer, cell="full")  # type: ignore[arg-type]
        (mine,) = relaxed(backend, [from_ase(crystal)], options)
        crystal.calc = EquipotCalculator(backend)
        theirs = ASE[optimizer](UnitCellFilter(crystal), logfile=None)
        assert theirs.run(fmax=0.005, steps=500)
        assert mine.converged
        assert "virial" in mine.criterion
        assert abs(mine.prediction.energy - crystal.get_potential_energy()) < MILLI
        assert abs(mine.steps - theirs.nsteps) <= 1
        np.testing.assert_allclose(mine.structure.cell, crystal.cell, atol=1e-3)

    def test_step_limit_is_a_result(self, backend: PairBackend, optimizer: str) -> None:
        options = RelaxOptions(fmax=1e-4, steps=3, optimizer=optimizer)  # type: ignore[arg-type]
        (mine,) = relaxed(backend, [from_ase(cluster(7, 1))], options)
        assert (mine.converged, mine.steps, mine.reason) == (False, 3, "steps")
        assert mine.prediction.energy < mine.initial.energy


def test_mixed_company_ends_as_each_does_alone(backend: PairBackend) -> None:
    wanted = [
        (from_ase(cluster(7, 1)), RelaxOptions(fmax=0.01)),
        (from_ase(strained_crystal()), RelaxOptions(fmax=0.01, cell="full", optimizer="lbfgs")),
        (from_ase(cluster(13, 2)), RelaxOptions(fmax=0.002, optimizer="lbfgs")),
        (from_ase(bulk("Ar", a=5.0)), RelaxOptions(fmax=0.01, cell="isotropic")),
        (from_ase(cluster(5, 3)), RelaxOptions(steps=2, fmax=1e-6, optimizer="lbfgs")),
    ]
    together = relaxed_each(backend, wanted)
    for (structure, options), mine in zip(wanted, together, strict=True):
        (alone,) = relaxed(backend, [structure], options)
        assert (mine.steps, mine.reason) == (alone.steps, alone.reason)
        np.testing.assert_allclose(mine.structure.positions, alone.structure.positions, atol=1e-9)
        np.testing.assert_allclose(mine.structure.cell, alone.structure.cell, atol=1e-9)


def test_scaled_lbfgs_takes_half_the_steps(backend: PairBackend) -> None:
    crystal = from_ase(strained_crystal())
    wanted = [
        (crystal, RelaxOptions(fmax=0.005, optimizer=name, cell="full", pressure=0.01))  # type: ignore[arg-type]
        for name in ("lbfgs", "scaled-lbfgs")
    ]
    theirs, mine = relaxed_each(backend, wanted)
    assert mine.converged
    assert 2 * mine.steps < theirs.steps
    enthalpies = [r.prediction.energy + 0.01 * r.structure.volume for r in (theirs, mine)]
    assert enthalpies[0] == pytest.approx(enthalpies[1], abs=MILLI)


@pytest.mark.parametrize(
    ("atoms", "cell", "kind"),
    [
        (cluster(3, 1), "fixed", Internal),
        (Atoms("Ar", cell=[5, 5, 0], pbc=[True, True, False]), "fixed", Internal),
        (bulk("Ar"), "fixed", ScaledLbfgs),
        (bulk("Ar"), "full", ScaledLbfgs),
        (Atoms("Ar301", 4.0 * np.arange(903).reshape(301, 3)), "fixed", ScaledLbfgs),
    ],
)
def test_what_suits_a_structure(atoms: Atoms, cell: Any, kind: type[Optimizer]) -> None:
    assert type(optimizer_for(from_ase(atoms), RelaxOptions(cell=cell))) is kind


def test_lbfgs_does_not_climb_where_the_energy_curves_downwards(backend: PairBackend) -> None:
    far = Atoms("Ar2", [[0, 0, 0], [0, 0, 4.7]])  # beyond the turning point, 4.23 Å
    (mine,) = relaxed(backend, [from_ase(far)], RelaxOptions(fmax=1e-4, optimizer="lbfgs"))
    assert mine.converged
    assert mine.structure.positions[1, 2] - mine.structure.positions[0, 2] == pytest.approx(
        3.4 * 2 ** (1 / 6), abs=0.01
    )
