"""`eos` and `elastic`: argon, whose energy under strain is known; copper of ASE's EMT; pymatgen's moduli."""

from typing import Any, ClassVar

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.tersoff import Tersoff, TersoffParameters
from ase.eos import EquationOfState
from ase.optimize import BFGS

from app.atoms.structure import Floats
from app.backends.pair import PairBackend
from app.errors import InvalidStructure, NotConverged, StructureTooLarge
from app.store.card import ModelCard
from app.tasks import Done
from app.tasks.crystals.elastic import ElasticValue, full_strain
from app.tasks.crystals.eos import EosValue
from app.tasks.crystals.moduli import Moduli
from recipes.tasks.oracle import Oracle
from tests.tasks.doing import atoms_of, done, structure_of
from tests.tasks.rock_salt import RockSalt

ARGON = bulk("Ar", a=5.3)
HCP = bulk("Ar", "hcp", a=3.75, c=6.1)
TIGHT = {"smax_GPa": 1e-5, "fmax_eV_per_A": 1e-5}


def lj() -> LennardJones:
    """The same potential as the backend of argon, by ASE."""
    return LennardJones(epsilon=0.01, sigma=3.4, rc=6.0, smooth=True)


def elastic(result: Done) -> ElasticValue:
    assert isinstance(result.value, ElasticValue)
    return result.value


def eos(result: Done) -> EosValue:
    assert isinstance(result.value, EosValue)
    return result.value


@pytest.mark.parametrize("form", ["birch_murnaghan", "vinet", "murnaghan"])
def test_equation_of_state_as_ase_fits_it(argon: PairBackend, form: str) -> None:
    result = done(argon, "eos", structure_of(ARGON), form=form, **TIGHT)
    value = eos(result)
    assert result.warnings == ()
    energies = []
    for volume in value.volumes_A3:
        atoms = atoms_of(result.relaxed.structure)
        atoms.set_cell(atoms.cell * (volume / atoms.get_volume()) ** (1 / 3), scale_atoms=True)
        atoms.calc = lj()
        energies.append(atoms.get_potential_energy())
    assert value.energies_eV == pytest.approx(energies, abs=1e-9)
    fit = EquationOfState(value.volumes_A3, energies, form.replace("_", ""))
    volume, energy, modulus = fit.fit()
    assert value.volume_A3 == pytest.approx(volume, rel=1e-6)
    assert value.energy_eV == pytest.approx(energy, abs=1e-8)
    assert value.bulk_modulus_GPa == pytest.approx(modulus / units.GPa, rel=1e-5)
    assert value.volume_A3 == pytest.approx(result.relaxed.structure.volume, rel=2e-3)
    # The pressure is what the slope of the energies says.
    slopes = -np.gradient(energies, value.volumes_A3)[1:-1] / units.GPa
    assert value.pressures_GPa[1:-1] == pytest.approx(slopes, abs=0.02)


def test_the_bulk_modulus_of_both_tasks_is_the_same(argon: PairBackend) -> None:
    fine = {"volume_range": 0.02, **TIGHT}
    by_volume = eos(done(argon, "eos", structure_of(ARGON), **fine)).bulk_modulus_GPa
    by_strain = elastic(done(argon, "elastic", structure_of(ARGON), strain=0.002, **TIGHT))
    assert by_strain.bulk_modulus_voigt_GPa == pytest.approx(by_volume, rel=0.01)


def second_derivatives(atoms: Atoms, h: float = 2e-4) -> Floats:
    """(6, 6), GPa: of the energy of a crystal without inner freedom, by strain."""

    def energy(strain: Floats) -> float:
        strained = atoms.copy()
        strained.set_cell(atoms.cell @ (np.eye(3) + full_strain(strain)), scale_atoms=True)
        strained.calc = lj()
        return float(strained.get_potential_energy())

    tensor = np.zeros((6, 6))
    steps = h * np.eye(6)
    for i in range(6):
        for j in range(6):
            plus = energy(steps[i] + steps[j]) + energy(-steps[i] - steps[j])
            minus = energy(steps[i] - steps[j]) + energy(steps[j] - steps[i])
            tensor[i, j] = (plus - minus) / (4 * h * h)
    return tensor / atoms.get_volume() / units.GPa


def test_elastic_tensor_is_the_curvature_of_the_energy(argon: PairBackend) -> None:
    result = done(argon, "elastic", structure_of(ARGON), strain=0.001, **TIGHT)
    value = elastic(result)
    tensor = np.array(value.elastic_tensor_GPa)
    expected = second_derivatives(atoms_of(result.relaxed.structure))
    assert tensor == pytest.approx(expected, abs=0.02)
    assert tensor[0, 1] == pytest.approx(tensor[3, 3], rel=0.01)  # Cauchy's relation
    assert value.is_stable
    assert value.asymmetry_GPa < 0.01
    assert value.strained_cells == 24


def test_a_hexagonal_crystal_has_the_tensor_of_its_kind(argon: PairBackend) -> None:
    result = done(argon, "elastic", structure_of(HCP), strain=0.002, **TIGHT)
    c = np.array(elastic(result).elastic_tensor_GPa)
    assert c[0, 0] == pytest.approx(c[1, 1], rel=1e-2)
    assert c[0, 2] == pytest.approx(c[1, 2], rel=1e-2)
    assert c[3, 3] == pytest.approx(c[4, 4], rel=1e-2)
    assert c[5, 5] == pytest.approx((c[0, 0] - c[0, 1]) / 2, rel=1e-2)
    assert c[2, 2] > c[0, 0] * 1.01
    zero = np.ones((6, 6), dtype=bool)
    zero[:3, :3] = zero[range(6), range(6)] = False
    assert np.abs(c[zero]).max() < 0.02
    # Its atoms move under strain, which makes it softer.
    held = done(argon, "elastic", structure_of(HCP), strain=0.002, relax_ions=False, **TIGHT)
    assert elastic(held).elastic_tensor_GPa[0][0] > c[0, 0] + 0.01


def test_copper_of_another_potential(pair_card: ModelCard) -> None:
    copper = Oracle(pair_card, EMT)
    result = done(copper, "elastic", structure_of(bulk("Cu", cubic=True)))
    value = elastic(result)
    c = value.elastic_tensor_GPa
    # ASE's tutorial has B = 134 GPa of this potential; C11, C12, C44 by the energies of ASE's own cells.
    assert value.bulk_modulus_hill_GPa == pytest.approx(134, abs=3)
    assert (c[0][0], c[0][1], c[3][3]) == pytest.approx((172, 116, 90), abs=4)
    volumes = eos(done(copper, "eos", structure_of(bulk("Cu"))))
    assert volumes.bulk_modulus_GPa == pytest.approx(134, abs=2)
    assert volumes.volume_A3 == pytest.approx(11.565, abs=0.02)


def test_moduli_as_pymatgen_has_them() -> None:
    elasticity = pytest.importorskip("pymatgen.core.elasticity")
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(6, 6))
    tensor = np.diag([170.0, 150, 200, 70, 60, 80]) + 5 * (noise + noise.T)
    tensor[:3, :3] += 60
    named = Moduli.of(tensor).named()
    theirs = elasticity.ElasticTensor.from_voigt(tensor)
    pairs = {
        "bulk_modulus_voigt_GPa": theirs.k_voigt,
        "bulk_modulus_reuss_GPa": theirs.k_reuss,
        "bulk_modulus_hill_GPa": theirs.k_vrh,
        "shear_modulus_voigt_GPa": theirs.g_voigt,
        "shear_modulus_reuss_GPa": theirs.g_reuss,
        "shear_modulus_hill_GPa": theirs.g_vrh,
        "youngs_modulus_GPa": theirs.y_mod / 1e9,
        "poisson_ratio": theirs.homogeneous_poisson,
        "universal_anisotropy": theirs.universal_anisotropy,
    }
    for name, expected in pairs.items():
        assert named[name] == pytest.approx(expected, rel=1e-9), name


def test_what_gains_by_strain_is_told(argon: PairBackend) -> None:
    simple = structure_of(Atoms("Ar", cell=[3.7] * 3, pbc=True))
    result = done(argon, "elastic", simple, cell="isotropic")
    value = elastic(result)
    assert not value.is_stable
    assert [warning.code for warning in result.warnings] == ["mechanically_unstable"]
    assert value.bulk_modulus_reuss_GPa is None
    assert value.bulk_modulus_voigt_GPa > 0


def test_a_fit_that_no_crystal_has_is_told(pair_card: ModelCard) -> None:
    class Odd(Calculator):
        """Energies whose curvature grows with the volume: B0' is negative."""

        implemented_properties: ClassVar = ["energy", "forces", "stress"]

        def calculate(self, atoms: Atoms, *_: Any) -> None:
            x = atoms.get_volume() / 40.0 - 1.0
            self.results = {
                "energy": 5.0 * x * x + 20.0 * x**3,
                "forces": np.zeros((len(atoms), 3)),
                "stress": (10.0 * x + 60.0 * x * x) / 40.0 * np.array([1.0, 1, 1, 0, 0, 0]),
            }

    odd = bulk("Ar", a=160.0 ** (1 / 3))
    result = done(Oracle(pair_card, Odd), "eos", structure_of(odd))
    assert eos(result).bulk_modulus_derivative < 1
    (told,) = [w.message for w in result.warnings if w.code == "doubtful_fit"]
    assert told.startswith("B0' is -")
    assert "crystals have 1 to 12" in told


@pytest.mark.parametrize(
    ("task", "atoms", "options", "error", "told"),
    [
        ("eos", Atoms("Ar2", [[0, 0, 0], [0, 0, 4]]), {}, InvalidStructure, "pbc"),
        ("elastic", Atoms("Ar", cell=[4, 4, 20], pbc=[1, 1, 0]), {}, InvalidStructure, "pbc"),
        ("eos", bulk("Ar", a=6.5), {"cell": "fixed"}, NotConverged, "outside|does not fit"),
        ("eos", ARGON, {"max_steps": 0}, NotConverged, "without a minimum"),
        ("elastic", ARGON, {"most": 23}, StructureTooLarge, "24 strained cells; at most 23"),
    ],
    ids=["molecule", "slab", "far from rest", "no minimum", "too many"],
)
def test_what_cannot_be_done(
    argon: PairBackend,
    task: str,
    atoms: Atoms,
    options: dict[str, Any],
    error: type[Exception],
    told: str,
) -> None:
    with pytest.raises(error, match=told):
        done(argon, task, structure_of(atoms), **options)


SILICON = TersoffParameters(
    *(3.0, 1.0, 1.7322, 1.0039e5, 16.218, -0.59826, 0.78734, 1.0999e-6, 1.7322, 471.18),
    *(2.85, 0.15, 2.4799, 1830.8),
)
"""Si(C) of J. Tersoff, Phys. Rev. B 39, 5566 (1989); m 3, γ 1, λ3 as λ2."""


def tersoff() -> Tersoff:
    return Tersoff({("Si", "Si", "Si"): SILICON})


def at_rest_by_ase(atoms: Atoms) -> Atoms:
    BFGS(atoms, logfile=None).run(fmax=1e-4, steps=500)
    return atoms


CRYSTALS = {
    "copper": (EMT, bulk("Cu", cubic=True)),
    "hexagonal argon": (lj, HCP),
    "silicon": (tersoff, bulk("Si")),
    "magnesium oxide": (RockSalt, bulk("MgO", "rocksalt", a=4.2)),
}


@pytest.mark.parametrize("name", CRYSTALS)
def test_the_equation_of_state_as_ase_fits_its_own_cells(pair_card: ModelCard, name: str) -> None:
    calculator, crystal = CRYSTALS[name]
    asked: dict[str, Any] = {"points": 7, "smax_GPa": 1e-3, "fmax_eV_per_A": 1e-4}
    result = done(Oracle(pair_card, calculator), "eos", structure_of(crystal), **asked)
    value = eos(result)
    energies = []
    for volume in value.volumes_A3:
        atoms = atoms_of(result.relaxed.structure)
        atoms.set_cell(atoms.cell * (volume / atoms.get_volume()) ** (1 / 3), scale_atoms=True)
        atoms.calc = calculator()
        energies.append(at_rest_by_ase(atoms).get_potential_energy())
    assert value.energies_eV == pytest.approx(energies, abs=1e-6)
    volume, energy, modulus = EquationOfState(value.volumes_A3, energies, "birchmurnaghan").fit()
    assert value.volume_A3 == pytest.approx(volume, rel=1e-5)
    assert value.energy_eV == pytest.approx(energy, abs=1e-6)
    assert value.bulk_modulus_GPa == pytest.approx(modulus / units.GPa, rel=1e-3)


@pytest.mark.parametrize("name", CRYSTALS)
def test_the_elastic_tensor_as_pymatgen_fits_ases_stresses(pair_card: ModelCard, name: str) -> None:
    elasticity = pytest.importorskip("pymatgen.core.elasticity")
    from pymatgen.io.ase import AseAtomsAdaptor

    calculator, crystal = CRYSTALS[name]
    asked: dict[str, Any] = {"strain": 0.005, "smax_GPa": 1e-3, "fmax_eV_per_A": 1e-4}
    result = done(Oracle(pair_card, calculator), "elastic", structure_of(crystal), **asked)
    rest = atoms_of(result.relaxed.structure)
    cells = elasticity.DeformedStructureSet(
        AseAtomsAdaptor.get_structure(rest),
        norm_strains=(-0.005, -0.0025, 0.0025, 0.005),
        shear_strains=(-0.005, -0.0025, 0.0025, 0.005),
    )
    stresses = []
    for cell in cells:
        atoms = AseAtomsAdaptor.get_atoms(cell)
        atoms.calc = calculator()
        stresses.append(
            elasticity.Stress(at_rest_by_ase(atoms).get_stress(voigt=False) / units.GPa)
        )
    rest.calc = calculator()
    tensor = elasticity.ElasticTensor.from_independent_strains(
        [elasticity.Strain.from_deformation(each) for each in cells.deformations],
        stresses,
        eq_stress=elasticity.Stress(rest.get_stress(voigt=False) / units.GPa),
    )
    value = elastic(result)
    found, theirs = np.array(value.elastic_tensor_GPa), np.array(tensor.voigt_symmetrized.voigt)
    # Their strains are Green's, which differ by the square of the strain.
    assert found == pytest.approx(theirs, rel=0.03, abs=0.03 * theirs.max())
    assert value.bulk_modulus_hill_GPa == pytest.approx(tensor.k_vrh, rel=0.01)
    assert value.shear_modulus_hill_GPa == pytest.approx(tensor.g_vrh, rel=0.03)
    if name == "magnesium oxide":  # of central forces, at rest, on inversion centres (Cauchy)
        assert found[0, 1] == pytest.approx(found[3, 3], rel=2e-2)


def test_silicon_of_tersoff(pair_card: ModelCard) -> None:
    silicon = Oracle(pair_card, tersoff)
    volumes = eos(done(silicon, "eos", structure_of(bulk("Si"))))
    # His own: a 5.432 Å, B 98 GPa, C11 143, C12 75, C44 69 GPa, of clamped atoms 119 GPa.
    assert volumes.volume_per_atom_A3 == pytest.approx(5.432**3 / 8, rel=1e-3)
    assert volumes.bulk_modulus_GPa == pytest.approx(98, abs=1)
    cubic = structure_of(bulk("Si", cubic=True))
    value = elastic(done(silicon, "elastic", cubic, strain=0.004))
    c = value.elastic_tensor_GPa
    assert (c[0][0], c[0][1], c[3][3]) == pytest.approx((143, 75, 69), abs=2)
    clamped = elastic(done(silicon, "elastic", cubic, strain=0.004, relax_ions=False))
    assert clamped.elastic_tensor_GPa[3][3] == pytest.approx(119, abs=2)
