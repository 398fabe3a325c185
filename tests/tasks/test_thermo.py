"""`thermo`: argon, whose modes are known; molecules of the bundled model, against ASE."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import fcc111, molecule
from ase.thermochemistry import HarmonicThermo, IdealGasThermo
from ase.vibrations import Vibrations
from pydantic import ValidationError

from app.atoms.structure import Structure
from app.backends import Backend
from app.backends.pair import PairBackend
from app.errors import InvalidStructure, NotConverged, StructureTooLarge
from app.store.card import ModelCard
from app.tasks import TASKS, Done
from app.tasks.thermo.modes import QUANTUM
from app.tasks.thermo.thermo import UNEVEN, ThermoValue
from recipes.tasks.oracle import Oracle
from tests.tasks.doing import atoms_of, done, done_all, structure_of

EPSILON, SIGMA, MASS = 0.01, 3.4, 39.948
STIFFNESS = 36 * 2 ** (2 / 3) * EPSILON / SIGMA**2
"""eV/Å², of a pair of argon: the second derivative of its energy at the minimum."""
TEN = ("H2O", "NH3", "CH4", "CO2", "C2H4", "C2H6", "CH3OH", "H2CO", "HCN", "C6H6")


def value_of(result: Done) -> ThermoValue:
    assert isinstance(result.value, ThermoValue)
    return result.value


def pair_of_argon(fixed: list[int] | None = None) -> Structure:
    return structure_of(Atoms("Ar2", [[0, 0, 0], [0, 0, 3.9]]), fixed)


def wavenumber(mass: float) -> float:
    return float(QUANTUM * np.sqrt(STIFFNESS / mass) / units.invcm)


def test_a_pair_of_atoms_vibrates_with_its_reduced_mass(argon: PairBackend) -> None:
    value = value_of(done(argon, "thermo", pair_of_argon(), fmax_eV_per_A=1e-5))
    assert value.frequencies_per_cm == pytest.approx([wavenumber(MASS / 2)], rel=1e-3)
    assert value.reduced_masses_amu == pytest.approx([MASS])  # of a shape of length 1
    assert value.is_linear
    assert value.symmetry_number == 2
    distance = 2 ** (1 / 6) * SIGMA
    moment = MASS / 2 * units._amu * (distance * 1e-10) ** 2
    constant = units._hplanck / (8 * np.pi**2 * units._c * moment) / 100
    assert value.rotational_constants_per_cm == pytest.approx([constant], rel=1e-3)


def test_an_atom_on_a_fixed_one_vibrates_alone(argon: PairBackend) -> None:
    value = value_of(done(argon, "thermo", pair_of_argon([0]), fmax_eV_per_A=1e-5))
    assert value.treatment == "harmonic"
    # It turns about the fixed one at no cost, which is no vibration.
    assert value.frequencies_per_cm == pytest.approx([wavenumber(MASS)], rel=1e-3)
    assert value.displaced_copies == 6


def test_an_atom_has_no_modes(argon: PairBackend) -> None:
    result = done(argon, "thermo", structure_of(Atoms("Ar")), temperature_K=300.0, pressure_Pa=1e5)
    value = value_of(result)
    ase = IdealGasThermo([], "monatomic", atoms=Atoms("Ar"), spin=0, symmetrynumber=1)
    gibbs = ase.get_gibbs_energy(300.0, 1e5, verbose=False)
    assert value.gibbs_energy_eV == pytest.approx(gibbs, abs=1e-12)
    assert value.frequencies_per_cm == value.rotational_constants_per_cm == []
    assert value.displaced_copies == 0


def test_imaginary_modes_are_named_and_left_out(argon: PairBackend) -> None:
    row = structure_of(Atoms("Ar3", [[0, 0, 3.8 * i] for i in range(3)]))
    result = done(argon, "thermo", row, fmax_eV_per_A=1e-4)
    value = value_of(result)
    assert value.n_imaginary == 2  # it bends into a triangle, in two planes
    assert value.frequencies_per_cm[0] < 0
    # No bond joins argon: its clusters are complexes.
    codes = [warning.code for warning in result.warnings]
    assert codes == ["imaginary_frequencies", "separate_molecules"]
    assert f"{-value.frequencies_per_cm[0]:.1f}i" in result.warnings[0].message
    real = np.array(value.frequencies_per_cm[2:]) * units.invcm
    assert value.zero_point_energy_eV == pytest.approx(real.sum() / 2)


def test_what_is_no_minimum_has_no_answer(argon: PairBackend) -> None:
    with pytest.raises(NotConverged, match=r"after 1 steps.*max_steps"):
        done(argon, "thermo", structure_of(Atoms("Ar2", [[0, 0, 0], [0, 0, 4.5]])), max_steps=1)


@pytest.mark.parametrize(
    ("structure", "options", "error", "told"),
    [
        (pair_of_argon([0, 1]), {}, InvalidStructure, "all atoms are"),
        (pair_of_argon([0]), {"treatment": "ideal_gas"}, InvalidStructure, "has fixed atoms"),
        (
            structure_of(Atoms("Ar", cell=[5.0] * 3, pbc=True)),
            {"treatment": "ideal_gas"},
            InvalidStructure,
            "repeats",
        ),
        (pair_of_argon([0]), {"pressure_Pa": 1e5}, InvalidStructure, "leave pressure_Pa out"),
        (pair_of_argon(), {"most": 11}, StructureTooLarge, "12 displaced copies; at most 11"),
    ],
    ids=["all fixed", "bound", "periodic", "under pressure", "too large"],
)
def test_what_cannot_be_done(
    argon: PairBackend, structure: Structure, options: dict[str, object], error: type, told: str
) -> None:
    with pytest.raises(error, match=told):
        done(argon, "thermo", structure, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"treatment": "harmonic", "pressure_Pa": 1e5}, "pressure_Pa: is of an ideal gas"),
        ({"treatment": "harmonic", "symmetry_number": 2}, "symmetry_number: is of an ideal gas"),
        ({"rotor_cutoff_per_cm": 50.0}, "rotor_cutoff_per_cm: is of quasi_rrho"),
        ({"symmetry_number": 2, "symmetry_tolerance_A": 0.1}, "symmetry_tolerance_A: the symm"),
    ],
)
def test_options_that_would_do_nothing(options: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        TASKS["thermo"].options(**options)


def test_an_adsorbate_as_ase_has_it(argon: PairBackend) -> None:
    slab = fcc111("Ar", (2, 2, 2), a=5.4, vacuum=8.0)
    slab.pbc = True
    fixed = list(range(len(slab)))
    slab += Atoms("Ne", [slab.positions[4:7].mean(axis=0) + np.array([0, 0, 2.8])])
    result = done(argon, "thermo", structure_of(slab, fixed), fmax_eV_per_A=1e-4)
    value = value_of(result)
    assert len(value.frequencies_per_cm) == 3
    ase = HarmonicThermo(np.array(value.frequencies_per_cm) * units.invcm, value.energy_eV)
    free = ase.get_helmholtz_energy(298.15, verbose=False)
    assert value.gibbs_energy_eV == pytest.approx(free, abs=1e-12)
    assert value.enthalpy_eV == value.internal_energy_eV
    assert value.pressure_Pa is None


def test_a_crystal_has_three_modes_less(argon: PairBackend) -> None:
    crystal = Atoms("Ar4", np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0]]) * 1.35)
    crystal.set_cell([5.4] * 3)
    crystal.pbc = True
    value = value_of(done(argon, "thermo", structure_of(crystal)))
    assert len(value.frequencies_per_cm) == 9
    assert value.frequencies_per_cm[0] > 10


def check_gas(result: Done, spin: float = 0.0) -> None:
    """Hold a molecule of an ideal gas to ASE's formulas."""
    value = value_of(result)
    atoms, modes = atoms_of(result.relaxed.structure), np.array(value.frequencies_per_cm)
    ase = IdealGasThermo(
        modes * units.invcm,
        "linear" if value.is_linear else "nonlinear",
        value.energy_eV,
        atoms,
        value.symmetry_number,
        spin,
    )
    gibbs = ase.get_gibbs_energy(298.15, 101325, verbose=False)
    assert value.gibbs_energy_eV == pytest.approx(gibbs, abs=1e-10)
    assert value.enthalpy_eV == pytest.approx(ase.get_enthalpy(298.15, verbose=False), abs=1e-10)
    entropy = ase.get_entropy(298.15, 101325, verbose=False)
    assert value.entropy_eV_per_K == pytest.approx(entropy, rel=1e-10)
    assert value.zero_point_energy_eV == pytest.approx(ase.get_ZPE_correction(), rel=1e-12)


def test_molecules_as_ase_has_them_together_and_turned(organic: Backend) -> None:
    names = ("H2O", "CO2", "CH3CH2OH")
    turned = molecule("CH3CH2OH")
    turned.rotate(50, (3, 1, 2))
    atoms = [*map(molecule, names), turned]
    results = done_all(organic, "thermo", list(map(structure_of, atoms)), normal_modes=True)
    for result in results:
        check_gas(result)
        is_told = "uneven_forces" in [warning.code for warning in result.warnings]
        assert is_told == (value_of(result).hessian_asymmetry_eV_per_A2 > UNEVEN)
    values = list(map(value_of, results))
    assert [v.symmetry_number for v in values] == [2, 2, 1, 1]
    assert [len(v.frequencies_per_cm) for v in values] == [3, 4, 21, 21]
    # Atoms are displaced along other directions, and the model is no parabola.
    assert values[3].frequencies_per_cm == pytest.approx(values[2].frequencies_per_cm, abs=8.0)
    shapes = np.array(values[2].normal_modes)
    assert shapes.shape == (21, 9, 3)
    assert np.linalg.norm(shapes, axis=(1, 2)) == pytest.approx(np.ones(21))
    momentum = np.einsum("n,mna->ma", turned.get_masses(), shapes)
    assert momentum == pytest.approx(np.zeros((21, 3)), abs=1e-9)


def test_a_radical_has_two_states_and_a_symmetry_number_can_be_stated(argon: PairBackend) -> None:
    radical = structure_of(Atoms("OH", [[0, 0, 0], [0, 0, 1.4]]))
    one, two = (
        value_of(done(argon, "thermo", radical, symmetry_number=number)) for number in (1, 2)
    )
    assert one.multiplicity == 2
    assert one.entropy_parts_eV_per_K.electrons == pytest.approx(units.kB * np.log(2))
    difference = one.entropy_eV_per_K - two.entropy_eV_per_K
    assert difference == pytest.approx(units.kB * np.log(2))


def frequencies_of(atoms: Atoms, folder: str) -> Sequence[float]:
    """cm⁻¹, of ASE's own Hessian of atoms at rest; the lowest, which are no vibrations, are cut."""
    vibrations = Vibrations(atoms, delta=0.005, name=folder)
    vibrations.run()
    wavenumbers: Sequence[float] = np.sort(vibrations.get_frequencies().real)
    return wavenumbers


def test_ten_molecules_of_gfn2_as_ase_and_tblite_have_them(
    pair_card: ModelCard, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tblite = pytest.importorskip("tblite.ase")
    calculator = partial(tblite.TBLite, method="GFN2-xTB", verbosity=0, accuracy=0.01)
    backend = Oracle(pair_card, calculator)
    for name in TEN:
        result = done(
            backend,
            "thermo",
            structure_of(molecule(name)),
            fmax_eV_per_A=5e-4,
            displacement_A=0.005,
        )
        check_gas(result)
        atoms = atoms_of(result.relaxed.structure)
        atoms.calc = calculator()
        ase = frequencies_of(atoms, str(tmp_path_factory.mktemp(name)))
        ours = value_of(result).frequencies_per_cm
        assert ours == pytest.approx(ase[-len(ours) :], abs=2.0)


def test_a_gas_of_two_molecules_or_of_a_cold_one_is_told(organic: Backend) -> None:
    near = molecule("H2O")
    far = near.copy()
    far.translate([0, 3.0, 0])
    pair = done(organic, "thermo", structure_of(near + far), fmax_eV_per_A=0.01, max_steps=1000)
    assert "separate_molecules" in [warning.code for warning in pair.warnings]
    water = structure_of(near)
    cold, warm = (done(organic, "thermo", water, temperature_K=t) for t in (20.0, 298.15))
    (told,) = [w.message for w in cold.warnings if w.code == "cold_rotor"]
    assert told.startswith("at 20 K rotations are no classical ones: a quantum is 4")
    assert warm.warnings == ()
