"""`phonons`: argon against phonopy that is driven by ASE's calculator of the same potential."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk

from app.backends.pair import PairBackend
from app.errors import EquipotError, InvalidStructure, StructureTooLarge
from app.tasks import Done
from app.tasks.phonons import lattice
from app.tasks.phonons.phonons import PhononsValue
from tests.tasks.doing import done, structure_of
from tests.tasks.test_crystals import lj

phonopy = pytest.importorskip("phonopy", reason="phonopy is not installed")
ARGON = bulk("Ar", a=5.3)
FAST: dict[str, Any] = {"smax_GPa": 1e-4, "mesh_length_A": 30, "band_points": 5}
LOW: dict[str, Any] = {"temperature_max_K": 100, "temperature_step_K": 25}


def value_of(result: Done) -> PhononsValue:
    assert isinstance(result.value, PhononsValue)
    return result.value


def loaded(value: PhononsValue, folder: Path) -> Any:
    (folder / "phonopy.yaml").write_text(value.phonopy_yaml)
    return phonopy.load(folder / "phonopy.yaml", log_level=0)


def forces_of(cells: Sequence[Any]) -> np.ndarray:
    def forces(cell: Any) -> np.ndarray:
        atoms = Atoms(cell.numbers, cell.positions, cell=cell.cell, pbc=True)
        atoms.calc = lj()
        return atoms.get_forces()

    return np.array([forces(cell) for cell in cells])


@pytest.mark.parametrize("kind", ["fcc", "hcp", "conventional"])
def test_argon_as_phonopy_has_it(argon: PairBackend, kind: str, tmp_path: Path) -> None:
    crystal = {
        "fcc": ARGON,
        "hcp": bulk("Ar", "hcp", a=3.75, c=6.1),
        "conventional": bulk("Ar", a=5.3, cubic=True),
    }[kind]
    result = done(argon, "phonons", structure_of(crystal), **FAST, **LOW)
    value = value_of(result)
    assert result.warnings == ()
    assert value.is_stable
    assert value.primitive_atoms == (2 if kind == "hcp" else 1)
    assert value.space_group == ("P6_3/mmc (194)" if kind == "hcp" else "Fm-3m (225)")
    # The same displacements have the same forces, and all that follows is the same.
    told = loaded(value, tmp_path)
    assert told.forces == pytest.approx(forces_of(told.supercells_with_displacements), abs=1e-9)
    unit = result.relaxed.structure
    own = phonopy.Phonopy(
        phonopy.structure.atoms.PhonopyAtoms(
            numbers=unit.numbers, cell=unit.cell, positions=unit.positions
        ),
        np.diag(value.supercell),
        primitive_matrix=told.primitive_matrix,
        symprec=1e-3,
    )
    own.generate_displacements(distance=0.01)
    assert len(own.supercells_with_displacements) == value.displaced_supercells
    own.forces = forces_of(own.supercells_with_displacements)
    own.produce_force_constants(show_drift=False)
    own.symmetrize_force_constants(show_drift=False)
    for at in (1, 7, 12):
        theirs = own.run_qpoints([value.band_qpoints[at]]).frequencies[0]
        assert value.band_frequencies_THz[at] == pytest.approx(theirs, abs=1e-5)
    own.run_mesh(30.0)
    thermal = own.run_thermal_properties(
        temperatures=value.temperatures_K, cutoff_frequency=lattice.CUTOFF_THZ
    )
    scale = units.kJ / units.mol
    assert value.free_energies_eV == pytest.approx(thermal.free_energy * scale, abs=1e-8)
    assert value.entropies_eV_per_K == pytest.approx(thermal.entropy * scale / 1000, abs=1e-8)


def test_what_statistics_says_holds(argon: PairBackend) -> None:
    value = value_of(done(argon, "phonons", structure_of(ARGON), **FAST))
    assert value.temperatures_K[0] == 0
    assert value.free_energies_eV[0] == pytest.approx(value.zero_point_energy_eV)
    # 3 k for each atom, far above all frequencies, but for the modes of Γ, which are in no sum.
    assert value.heat_capacities_eV_per_K[-1] == pytest.approx(3 * units.kB, rel=2e-3)
    states = np.trapezoid(value.dos_states_per_THz, value.dos_frequencies_THz)
    assert states == pytest.approx(3, rel=0.02)
    assert value.band_labels[0] == "G"
    assert len(value.band_labels) == len(value.band_label_distances_per_A)
    assert np.abs(value.band_frequencies_THz[0]).max() < 1e-3  # at Γ
    assert max(map(max, value.band_frequencies_THz)) == pytest.approx(1.7, abs=0.1)


def test_what_is_no_minimum_is_told(argon: PairBackend) -> None:
    simple = structure_of(Atoms("Ar", cell=[3.7] * 3, pbc=True))
    result = done(argon, "phonons", simple, cell="isotropic", supercell=[2, 2, 2], **FAST)
    value = value_of(result)
    assert not value.is_stable
    codes = {warning.code: warning.message for warning in result.warnings}
    assert f"{-value.lowest_THz:.3g}i THz" in codes["imaginary_frequencies"]
    assert "the model's cutoff is 6 Å" in codes["supercell_narrow"]


def test_the_supercell_is_as_wide_as_wanted() -> None:
    primitive = structure_of(ARGON)
    assert lattice.multiples_for(primitive, 12.0) == (4, 4, 4)
    flat = structure_of(Atoms("Ar", cell=[3, 4, 20], pbc=True))
    assert lattice.multiples_for(flat, 12.0) == (4, 3, 1)
    assert lattice.width_of(flat, (4, 3, 1)) == pytest.approx(12)


@pytest.mark.parametrize(
    ("atoms", "options", "error", "told"),
    [
        (Atoms("Ar2", [[0, 0, 0], [0, 0, 4]]), {}, InvalidStructure, "pbc"),
        (ARGON, {"supercell": [0, 1, 1]}, InvalidStructure, "three numbers from 1"),
        (
            ARGON,
            {"supercell_length_A": 100},
            StructureTooLarge,
            r"the supercell \[33, 33, 33\] has 35937 atoms",
        ),
        (ARGON, {"supercell": [1, 1, 1]}, InvalidStructure, "mesh_length_A 60: no mode"),
        (ARGON, {"mesh_length_A": 3}, InvalidStructure, "mesh_length_A 3: no mode"),
        (
            Atoms(ARGON, cell=ARGON.cell[[1, 0, 2]]),
            {},
            InvalidStructure,
            "cell: its vectors are left-handed",
        ),
        (ARGON, {"most": 0}, StructureTooLarge, "displaced supercells"),
    ],
)
def test_what_cannot_be_done(
    argon: PairBackend,
    atoms: Atoms,
    options: dict[str, Any],
    error: type[EquipotError],
    told: str,
) -> None:
    with pytest.raises(error, match=told):
        done(argon, "phonons", structure_of(atoms), **options)


def test_fixed_atoms_are_refused(argon: PairBackend) -> None:
    with pytest.raises(InvalidStructure, match="fixed"):
        done(argon, "phonons", structure_of(ARGON, fixed=[0]))
