"""`scan`: argon against ASE's constraints, butane, rings, and what cannot be scanned."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.lj import LennardJones
from ase.constraints import FixInternals
from ase.optimize import BFGS
from pydantic import ValidationError

from app.atoms.structure import Floats, Structure
from app.backends import Backend
from app.backends.pair import PairBackend
from app.errors import InvalidStructure, NotConverged
from app.relax import Held
from app.relax.held import gradient, measure
from app.tasks import TASKS, Done
from app.tasks.scan.mirror import is_its_image, opposites
from app.tasks.scan.scan import ScanValue
from app.tasks.scan.turning import brought
from equipot import EquipotCalculator
from tests.paths import MODEL_STORE
from tests.tasks.doing import done, structure_of

TRIMER = Atoms("Ar3", [[0, 3.8, 0.1], [0, 0, 0], [3.8, 0, 0]])
TIGHT = 1e-4


def value_of(result: Done) -> ScanValue:
    assert isinstance(result.value, ScanValue)
    return result.value


def energy_of_ase(angle: float) -> float:
    atoms = TRIMER.copy()
    atoms.set_angle(0, 1, 2, angle)
    atoms.calc = LennardJones(epsilon=0.01, sigma=3.4, rc=6.0, smooth=True)
    atoms.set_constraint(FixInternals(angles_deg=[[angle, [0, 1, 2]]]))
    BFGS(atoms, logfile=None).run(fmax=TIGHT, steps=200)
    return float(atoms.get_potential_energy())


def test_an_angle_of_argon_as_ase_holds_it(argon: PairBackend) -> None:
    asked: dict[str, Any] = {"atoms": [0, 1, 2], "range_deg": [60, 100], "points": 41}
    value = value_of(done(argon, "scan", structure_of(TRIMER), fmax_eV_per_A=TIGHT, **asked))
    assert value.values_deg == pytest.approx(np.linspace(60, 100, 41))
    for point in (0, 20, 40):
        assert value.energies_eV[point] == pytest.approx(energy_of_ase(60 + point), abs=1e-6)
    assert value.lowest == 0
    positions = np.array(value.positions_A)
    assert [np.degrees(measure(p)) for p in positions] == pytest.approx(value.values_deg)
    # The slope of the profile is the force along the coordinate, whose sign is turned.
    slopes = np.gradient(np.array(value.energies_eV, dtype=float), np.radians(1.0))
    calculator = LennardJones(epsilon=0.01, sigma=3.4, rc=6.0, smooth=True)
    for point in range(1, 40):
        along = gradient(positions[point])
        forces = calculator.get_forces(Atoms("Ar3", positions[point]))
        force = (forces * along).sum() / (along**2).sum()
        assert -force == pytest.approx(slopes[point], abs=2e-4)


def test_a_distance_of_argon(argon: PairBackend) -> None:
    pair = structure_of(Atoms("Ar2", [[0, 0, 0], [0, 0, 4.2]]))
    asked: dict[str, Any] = {"atoms": [0, 1], "range_A": [3.4, 4.4], "points": 11}
    value = value_of(done(argon, "scan", pair, **asked))
    assert value.coordinate == "distance"
    assert value.lowest == 4  # 3.8 Å; the minimum is at 3.82 Å
    assert value.energies_eV[0] == pytest.approx(0, abs=1e-4)  # at σ
    assert value.relaxations == 21  # the first one, and each that was lowered looks to both sides


def test_butane_is_the_same_from_both_sides(organic: Backend) -> None:
    butane = structure_of(molecule("trans-butane"))
    value = value_of(
        done(organic, "scan", butane, atoms=[0, 1, 2, 3], points=6, fmax_eV_per_A=0.05)
    )
    profile = np.array(value.relative_energies_eV, dtype=float)
    assert value.values_deg is not None
    assert value.values_deg[0] == -180
    assert value.lowest == 0  # anti
    assert value.highest == 3  # syn, where the methyl groups meet
    assert profile[1:] == pytest.approx(profile[:0:-1], abs=5e-3)
    assert value.barrier_eV == pytest.approx(0.2, abs=0.1)  # 4 to 6 kcal/mol by experiment
    assert profile[2] < min(profile[1], profile[3])  # gauche is a minimum between barriers


def from_smiles(smiles: str) -> Structure:
    """A molecule as RDKit makes it."""
    chem = pytest.importorskip("rdkit.Chem.AllChem")
    made = chem.AddHs(chem.MolFromSmiles(smiles))
    chem.EmbedMolecule(made, randomSeed=7)
    chem.MMFFOptimizeMolecule(made)
    numbers = [atom.GetAtomicNum() for atom in made.GetAtoms()]
    return structure_of(Atoms(numbers, made.GetConformer().GetPositions()))


def test_the_other_side_of_a_ring_is_found_by_its_mirror_image(organic: Backend) -> None:
    chair = from_smiles("C1CCCCC1")
    asked: dict[str, Any] = {"range_deg": [-54, 54], "points": 5, "fmax_eV_per_A": 0.05}
    value = value_of(done(organic, "scan", chair, atoms=[0, 1, 2, 3], **asked))
    profile = np.array(value.relative_energies_eV, dtype=float)
    assert profile == pytest.approx(profile[::-1], abs=5e-3)
    assert profile[2] > 0.2  # the half-chair between the two


@pytest.mark.parametrize(
    ("smiles", "is_image"),
    [
        ("C1CCCCC1", True),
        ("CCCC", True),
        ("CC(=O)NC", True),  # its flat centres have three neighbours that differ
        ("OC(F)Cl", False),
        ("C[C@H](O)[C@@H](O)C", False),  # meso, which is not looked for
        ("CS(=O)CC", False),
    ],
)
def test_which_molecules_are_their_mirror_images(smiles: str, is_image: bool) -> None:
    assert is_its_image(from_smiles(smiles)) == is_image


def test_points_and_their_opposites() -> None:
    assert list(opposites(np.array([-180.0, -90, 0, 90]))) == [(1, 3), (3, 1)]
    assert list(opposites(np.array([10.0, 20, 30]))) == []


def test_what_comes_apart_is_told(organic: Backend) -> None:
    asked: dict[str, Any] = {"atoms": [0, 1], "range_A": [0.9, 2.4], "points": 4}
    result = done(organic, "scan", structure_of(molecule("H2O")), fmax_eV_per_A=0.05, **asked)
    told = [w.message for w in result.warnings if w.code == "bonds_changed"]
    assert len(told) == 1
    assert told[0].startswith("at 1.9, 2.4 bonds are others")
    assert "broke between atom 0 (O) and atom 1 (H)" in told[0]


def test_a_ring_is_not_torn() -> None:
    benzene = structure_of(molecule("C6H6"))
    bent = brought(benzene, Held((0, 1, 2, 3), 0.2))
    assert measure(bent.positions[[0, 1, 2, 3]]) == pytest.approx(0.2)
    for before, after in zip(
        pairwise(benzene.positions[:6]), pairwise(bent.positions[:6]), strict=True
    ):
        assert np.ptp(after) == pytest.approx(np.ptp(before), abs=0.5)


def test_what_hangs_beyond_moves_as_a_whole() -> None:
    butane = structure_of(molecule("trans-butane"))
    turned = brought(butane, Held((0, 1, 2, 3), 1.0))
    assert measure(turned.positions[:4]) == pytest.approx(1.0)
    before = np.linalg.norm(butane.positions[:, None] - butane.positions, axis=2)
    after = np.linalg.norm(turned.positions[:, None] - turned.positions, axis=2)
    assert after[before < 1.6] == pytest.approx(before[before < 1.6], abs=1e-9)
    held = structure_of(molecule("trans-butane"), fixed=[3])
    bent = brought(held, Held((0, 1, 2, 3), 2.9))
    assert (bent.positions[3] == held.positions[3]).all()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"atoms": [0, 0]}, "different numbers"),
        ({"atoms": [0]}, "at least 2 items"),
        ({"atoms": [0, 1]}, "range_A: state the first and the last value of the distance"),
        ({"atoms": [0, 1], "range_A": [0.1, 2]}, "range_A: 0.1; expected 0.3 to 50"),
        ({"atoms": [0, 1, 2], "range_A": [1, 2]}, "range_A: is not of 3 atoms; state range_deg"),
        ({"atoms": [0, 1, 2], "range_deg": [90, 180]}, "180; expected 1 to 179"),
        ({"atoms": [0, 1, 2, 3], "range_deg": [90, 90]}, "both values are 90"),
        ({}, "Field required"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        TASKS["scan"].options(**options)


def test_what_cannot_be_scanned(argon: PairBackend) -> None:
    row = structure_of(Atoms("Ar4", [[0, 0, 3.8 * i] for i in range(4)]))
    with pytest.raises(InvalidStructure, match="in a line"):
        done(argon, "scan", row, atoms=[0, 1, 2, 3])
    with pytest.raises(InvalidStructure, match="no atom 7; the structure has atoms 0 to 2"):
        done(argon, "scan", structure_of(TRIMER), atoms=[0, 7], range_A=[3, 4])
    crystal = Atoms("Ar2", [[0, 0, 0], [0, 0, 4]], cell=[9] * 3, pbc=True)
    with pytest.raises(InvalidStructure, match="repeats"):
        done(argon, "scan", structure_of(crystal), atoms=[0, 1], range_A=[3, 4])
    with pytest.raises(NotConverged, match="no point came to rest within 0 steps"):
        done(
            argon,
            "scan",
            structure_of(TRIMER),
            atoms=[0, 1],
            range_A=[3.3, 4],
            max_steps=0,
            fmax_eV_per_A=1e-9,
        )


def held_by_ase(atoms: Atoms, dihedral: list[int], angle: float) -> tuple[Floats, float]:
    """Where all else comes to rest, and the energy there in eV, by ASE."""
    held = atoms.copy()
    moved = brought(structure_of(held), Held(tuple(dihedral), float(np.radians(angle))))
    held.positions = moved.positions
    held.calc = EquipotCalculator("organic-xtb", MODEL_STORE)
    held.set_constraint(FixInternals(dihedrals_deg=[[angle, dihedral]]))
    BFGS(held, logfile=None).run(fmax=0.02, steps=300)
    return held.positions.copy(), float(held.get_potential_energy())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dihedral"),
    [("trans-butane", [0, 1, 2, 3]), ("CH3CH2OH", [0, 1, 2, 3]), ("HCOOCH3", [1, 0, 2, 4])],
)
def test_profiles_are_those_of_torsiondrive(
    organic: Backend,
    name: str,
    dihedral: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    td_api = pytest.importorskip("torsiondrive.td_api", reason="torsiondrive is not installed")
    monkeypatch.chdir(tmp_path)
    atoms = molecule(name)
    state: dict[str, Any] = {
        "dihedrals": [dihedral],
        "grid_spacing": [60],
        "elements": atoms.get_chemical_symbols(),
        "init_coords": [atoms.positions.copy()],
        "grid_status": {},
    }
    while jobs := td_api.get_next_jobs(state):
        for point, starts in jobs.items():
            for start in starts:
                moved = Atoms(atoms.numbers, start)
                end, energy = held_by_ase(moved, dihedral, float(point[0]))
                ended = (start, end, energy / units.Hartree)
                state["grid_status"].setdefault(point, []).append(ended)
    lowest = {
        point[0] % 360: min(energy for _, _, energy in ends) * units.Hartree
        for point, ends in state["grid_status"].items()
    }
    asked: dict[str, Any] = {"points": 6, "fmax_eV_per_A": 0.02}
    value = value_of(done(organic, "scan", structure_of(atoms), atoms=dihedral, **asked))
    assert value.values_deg is not None
    for angle, found in zip(value.values_deg, value.energies_eV, strict=True):
        assert found == pytest.approx(lowest[round(angle) % 360], abs=2e-3), angle
