"""What docs/torch-sim.md types, beside ASE, where torch-sim is installed."""

import re
import warnings

import pytest
from ase.build import bulk, molecule
from ase.optimize import FIRE

from equipot import EquipotCalculator
from tests.paths import ROOT

PAGE = (ROOT / "docs" / "torch-sim.md").read_text(encoding="utf-8")
SCRIPT = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL).group(1)


@pytest.mark.filterwarnings("ignore")
def test_its_class_runs_optimizers_and_integrators() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch_sim = pytest.importorskip("torch_sim", exc_type=ImportError)
    names: dict = {}
    exec(SCRIPT, names)
    calculator = EquipotCalculator("organic-xtb")
    for name, energy in zip(("H2O", "CH3CH2OH", "C6H6"), names["relaxed"].energy, strict=True):
        atoms = molecule(name)
        atoms.calc = calculator
        assert FIRE(atoms, logfile=None).run(fmax=0.01)
        assert energy.item() == pytest.approx(atoms.get_potential_energy(), abs=1e-4)

    model = names["EquipotModel"]("organic-xtb")
    totals = []
    state = None
    for _ in range(2):
        state = torch_sim.integrate(
            state or molecule("CH3CH2OH"),
            model,
            integrator=torch_sim.nve,
            n_steps=50,
            temperature=300,
            timestep=0.0005,
        )
        kinetic = torch_sim.calc_kinetic_energy(momenta=state.momenta, masses=state.masses)
        totals.append(state.energy.item() + kinetic.item())
    assert totals[1] == pytest.approx(totals[0], abs=0.01)

    cells = torch_sim.optimize(
        [bulk("Ar", cubic=True, a=5.2), bulk("Ar", cubic=True, a=5.6)],
        names["EquipotModel"]("lennard-jones"),
        optimizer=torch_sim.frechet_cell_fire,
        convergence_fn=torch_sim.generate_force_convergence_fn(0.001),
    )
    assert cells.energy[0].item() == pytest.approx(cells.energy[1].item(), abs=1e-4)
