import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.spacegroup import crystal

from app.atoms.structure import Structure
from app.errors import InvalidFormat, InvalidStructure
from app.formats.ase_atoms import to_ase
from app.formats.cif import parse

SALT = """data_salt
_cell_length_a 5.64(1)
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Na1 Na1+ 0 0 0 1
Cl1 Cl1- 0.5 0.5 0.5 1.0
"""


def only(text: str):
    (frame,) = parse(text)
    return frame.structure


def test_symmetry_makes_all_atoms_of_the_cell():
    (frame,) = parse(SALT)
    assert frame.id == "salt"
    assert frame.structure.symbols == ["Na"] * 4 + ["Cl"] * 4
    assert frame.structure.charge == 0
    ours, theirs = to_ase(frame.structure), bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    for atoms in (ours, theirs):
        atoms.wrap(eps=1e-9)
    np.testing.assert_allclose(
        np.sort(ours.get_all_distances(mic=True), axis=None),
        np.sort(theirs.get_all_distances(mic=True), axis=None),
        atol=1e-9,
    )


@pytest.mark.parametrize("group", [14, 62, 136, 194, 225, 227])
def test_crystals_are_ase_s(group, tmp_path):
    angles = [90, 90, 120] if group == 194 else [90, 100 if group == 14 else 90, 90]
    edges = (
        [4.9, 4.9, 6.0] if group in (136, 194) else [5.6] * 3 if group > 200 else [5.0, 6.0, 7.0]
    )
    sites = [(0.0, 0.0, 0.0), (0.3, 0.3, 0.0), (0.11, 0.23, 0.37)]
    made = crystal(
        ["Si", "O", "Ar"], sites, spacegroup=group, cellpar=[*edges, *angles], onduplicates="keep"
    )
    ase.io.write(tmp_path / "a.cif", made)
    (read,) = parse((tmp_path / "a.cif").read_text())
    expected = ase.io.read(tmp_path / "a.cif")
    assert len(read.structure) == len(expected)
    assert read.structure.volume == pytest.approx(expected.get_volume(), rel=1e-6)
    np.testing.assert_allclose(
        np.sort(to_ase(read.structure).get_all_distances(mic=True), axis=None),
        np.sort(expected.get_all_distances(mic=True), axis=None),
        atol=1e-3,
    )


def test_cartesian_sites_and_molecules_without_a_cell():
    cartesian = SALT.replace("_fract_", "_Cartn_").replace("0.5 0.5 0.5", "2.82 2.82 2.82")
    np.testing.assert_allclose(only(cartesian).positions[4:], only(SALT).positions[4:], atol=1e-9)
    open_ = "\n".join(line for line in cartesian.splitlines() if not line.startswith("_cell"))
    assert not only(open_).pbc.any()
    assert only(open_).positions[1].tolist() == [2.82] * 3


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("0 0 0 1\n", "0 0 0 0.30\n", "site Na1: occupancy 0.3; energies are those of whole atoms"),
        ("Na1+ 0", "X 0", "'X' is not a chemical symbol but a dummy"),
        ("Na1+ 0", "Sodium 0", "site Na1: 'Sodium' is no element"),
        ("Na1+ 0", "Na2.5+ 0", "charges of the atoms: "),
        ("1.0\n", "1.0\n_atom_site_disorder_group -2\n", "site Na1: disorder group -2"),
        ("occupancy", "attached_hydrogens", "site Na1: 1 attached hydrogens without places"),
        (
            "_atom_site_occupancy",
            "_atom_site_moment_crystalaxis_x",
            "magnetic moments of the sites",
        ),
    ],
)
def test_what_cannot_be_taken_is_refused(before, after, message):
    text = SALT.replace(before, after).replace("Cl1- 0.5", "Cl1- 0.25", 0)
    if "2.5" in after:
        text = text.replace("F m -3 m", "P 1")
    structure = only(text)
    assert isinstance(structure, InvalidStructure)
    assert message in str(structure)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("_cell_length_b 5.64\n", "", "block salt: _cell_length_b is missing"),
        (
            "loop_\n",
            "loop_\n_atom_type_symbol\n_atom_type_oxidation_number\nNa1+ 2\nloop_\n",
            "site Na1: type 'Na1+', but _atom_type_oxidation_number 2",
        ),
        ("5.64(1)", "wide", "'wide' is no number, in the cell"),
        ("0.5 0.5 0.5", "0.5 ? 0.5", "'?' is no number, in a site"),
        ("0.5 0.5 0.5 1.0", "0.5 0.5 0.5", "a table of 6 columns with 11 values"),
        ("'F m -3 m'", "Q7", "space group 'Q7' is unknown"),
        ("_atom_site_fract_z", "_atom_site_z", "no coordinates of the sites"),
        ("_atom_site_label\n", "_atom_site_group_PDB\n", "an mmCIF of a macromolecule"),
    ],
)
def test_a_malformed_block_costs_only_itself(before, after, message):
    first, second = parse(SALT.replace(before, after) + SALT.replace("data_salt", "data_2"))
    assert isinstance(first.structure, InvalidFormat)
    assert message in str(first.structure)
    assert isinstance(second.structure, Structure)


def test_blocks_without_atoms_are_no_structures():
    assert list(parse("")) == []
    assert list(parse("data_global\n_journal_name_full 'X'\n")) == []
    assert len(list(parse("data_global\n_journal_name_full 'X'\n" + SALT))) == 1


@pytest.mark.parametrize(
    ("label", "symbol"), [("Fe1", "Fe"), ("O2a", "O"), ("OW", "O"), ("H12", "H"), ("C", "C")]
)
def test_elements_of_labels_where_no_type_is_stated(label, symbol):
    rows = SALT.replace("_atom_site_type_symbol\n", "").replace("Na1 Na1+ ", f"{label} ")
    assert only(rows.replace("Cl1 Cl1- ", "Cl1 ")).symbols[0] == symbol


def test_a_label_that_may_be_two_elements_is_refused():
    rows = SALT.replace("_atom_site_type_symbol\n", "").replace("Na1 Na1+ ", "CA1 ")
    assert "site CA1: Ca or C" in str(only(rows.replace("Cl1 Cl1- ", "Cl1 ")))


def test_isotopes_carry_a_warning():
    (frame,) = parse(SALT.replace("Na1+ 0", "D 0"))
    assert frame.structure.symbols[:4] == ["H"] * 4
    assert frame.warnings[0].message.startswith("atoms 0, 1, 2, 3:")


def test_oxidation_numbers_that_do_not_cancel_are_a_charge():
    assert only(SALT.replace("Cl1-", "Cl")).charge == 4


def test_a_dummy_is_refused():
    text = SALT.replace("occupancy", "calc_flag").replace("0 0 0 1\n", "0 0 0 d\n")
    structure = only(text.replace("0.5 1.0", "0.5 dum"))
    assert isinstance(structure, InvalidStructure)
    assert "site Cl1: a dummy; leave it out" in str(structure)


def test_oxidation_numbers_of_types_are_a_charge():
    types = "loop_\n_atom_type_symbol\n_atom_type_oxidation_number\nNa +1\nCl {}\nloop_\n"
    text = SALT.replace("Na1+", "Na").replace("Cl1-", "Cl")
    assert only(text.replace("loop_\n", types.format("?"))).charge == 4
    assert only(text.replace("loop_\n", types.format("-1"))).charge == 0


def test_too_many_images_are_refused():
    rows = "".join(f"Na{n} Na 0.1 0.2 0.{n} 1\n" for n in range(1100))
    structure = only(SALT + rows)
    assert isinstance(structure, InvalidFormat)
    assert "at most 200000 are read" in str(structure)


@pytest.mark.parametrize(
    ("symmetry", "n_atoms", "codes"),
    [
        ("", 1, ["symmetry_not_stated"]),
        ("_space_group_name_H-M_alt ?\n", 1, ["symmetry_not_stated"]),
        ("_space_group_name_H-M_alt 'P 1'\n", 1, []),
        ("_symmetry_Int_Tables_number 1\n", 1, []),
        ("loop_\n_space_group_symop_operation_xyz\n'x, y, z'\n", 1, []),
        ("_space_group_name_H-M_alt 'F m -3 m'\n", 4, []),
    ],
)
def test_a_cell_without_symmetry_is_told(symmetry, n_atoms, codes):
    edges = "".join(f"_cell_length_{axis} 5.3\n" for axis in "abc")
    angles = "".join(f"_cell_angle_{angle} 90\n" for angle in ("alpha", "beta", "gamma"))
    columns = "".join(
        f"_atom_site_{column}\n" for column in ("label", *map("fract_{}".format, "xyz"))
    )
    (frame,) = parse(f"data_argon\n{edges}{angles}{symmetry}loop_\n{columns}Ar1 0 0 0\n")
    assert len(frame.structure) == n_atoms
    assert [warning.code for warning in frame.warnings] == codes
