import numpy as np
import pytest
from ase import Atoms
from ase.constraints import FixAtoms, FixBondLength

from app.errors import InvalidStructure
from app.formats.ase_atoms import from_ase, to_ase

CELL = [[4.0, 0, 0], [1.0, 4.0, 0], [0, 0, 9.0]]


@pytest.mark.parametrize("info", [{}, {"charge": -2}, {"charge": 1, "multiplicity": 2}])
def test_there_and_back(info):
    atoms = Atoms("OSi", [[0.0, 0, 1], [2.0, 0, 0]], cell=CELL, pbc=(True, True, False), info=info)
    structure = from_ase(atoms)
    assert to_ase(structure) == atoms
    assert to_ase(structure).info == info
    np.testing.assert_array_equal(structure.cell, CELL)


@pytest.mark.parametrize(
    ("info", "charge", "multiplicity"),
    [
        ({"charge": np.int64(1), "spin": 2}, 1, 2),
        ({"charge": 1.0, "spin_multiplicity": np.float64(3)}, 1, 3),
        ({"total_charge": -1, "charge": None}, -1, None),
        ({"energy": -5.0}, 0, None),
    ],
)
def test_charge_and_multiplicity_come_from_info(info, charge, multiplicity):
    structure = from_ase(Atoms("H", info=info))
    assert (structure.charge, structure.multiplicity) == (charge, multiplicity)


@pytest.mark.parametrize("value", [0.5, "some", np.nan, [1, 2]])
def test_a_charge_that_is_no_whole_number_is_refused(value):
    with pytest.raises(InvalidStructure, match=r"charge: .*; expected a whole number"):
        from_ase(Atoms("H", info={"charge": value}))


def test_initial_charges_and_moments_of_the_atoms_are_taken():
    atoms = Atoms("O2", np.eye(3)[:2], charges=[-1.0, 0.0], magmoms=[0.5, 0.5])
    structure = from_ase(atoms)
    assert (structure.charge, structure.multiplicity) == (-1, 2)
    atoms.info.update(charge=0, multiplicity=3)
    assert (from_ase(atoms).charge, from_ase(atoms).multiplicity) == (0, 3)


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (Atoms("Fe", magmoms=[2.3]), "their sum is 2.3, no whole number"),
        (Atoms("Fe2", np.eye(3)[:2], magmoms=[1.0, -1.0]), "cancel each other"),
        (Atoms("H", charges=[0.5]), "their sum is 0.5"),
        (Atoms("H", info={"units": "bohr"}), "a unit of length other than Å"),
        (
            Atoms("Ar", info={"occupancy": {"0": {"Ar": 0.3}}}),
            "site 0: Ar with an occupancy of 0.3",
        ),
    ],
)
def test_what_atoms_state_and_cannot_be_taken_is_refused(atoms, message):
    with pytest.raises(InvalidStructure) as caught:
        from_ase(atoms)
    assert message in str(caught.value)


def test_whole_sites_are_taken():
    assert len(from_ase(Atoms("Ar", info={"occupancy": {"0": {"Ar": 1.0}}}))) == 1


def test_fixed_atoms_there_and_back():
    atoms = Atoms("H3", np.eye(3), constraint=[FixAtoms([0]), FixAtoms([2])])
    structure = from_ase(atoms)
    assert structure.fixed.tolist() == [True, False, True]
    assert to_ase(structure).constraints[0].index.tolist() == [0, 2]


def test_a_constraint_that_cannot_be_kept_is_refused():
    with pytest.raises(InvalidStructure, match=r"constraint FixBondLengths?: only whole atoms"):
        from_ase(Atoms("H2", np.eye(3)[:2], constraint=FixBondLength(0, 1)))


def test_ase_s_placeholder_element_is_refused():
    with pytest.raises(InvalidStructure, match="atom 1: atomic number 0"):
        from_ase(Atoms("HX", positions=np.eye(3)[:2]))


def test_atoms_do_not_share_memory_with_the_structure():
    structure = from_ase(Atoms("H", [[1.0, 2.0, 3.0]]))
    atoms = to_ase(structure)
    atoms.positions += 1.0
    np.testing.assert_array_equal(structure.positions, [[1, 2, 3]])


def test_a_cell_in_info_alone_is_refused():
    atoms = Atoms("Ar", info={"cell": np.array([9.0, 9, 9])})
    with pytest.raises(
        InvalidStructure, match=r"info\['cell'\] gives a cell, and the atoms have none"
    ):
        from_ase(atoms)
    atoms.cell = 9 * np.eye(3)
    assert from_ase(atoms).cell.any()
    assert not from_ase(Atoms("Ar", info={"unit_cell": "conventional"})).cell.any()
