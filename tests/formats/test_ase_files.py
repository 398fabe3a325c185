import io

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from app.errors import InvalidFormat, InvalidStructure
from app.formats.ase_files import read

SALT = bulk("NaCl", "rocksalt", a=5.64)
DUMP = """ITEM: TIMESTEP
0
ITEM: NUMBER OF ATOMS
2
ITEM: BOX BOUNDS pp pp pp
0 5.3
0 5.3
0 5.3
ITEM: ATOMS id type element x y z
1 1 Ar 0 0 0
2 1 Ar 0 2.65 2.65
"""
COORD = """$coord
0.0 0.0 0.0 n
0.0 0.0 1.9 h
$eht charge={charge} unpaired=0
$end
"""


def written(atoms: Atoms | list[Atoms], name: str, tmp_path) -> bytes:
    ase.io.write(tmp_path / name, atoms)
    return (tmp_path / name).read_bytes()


@pytest.mark.parametrize("name", ["a.traj", "a.json", "a.gen", "a.xsf"])
def test_what_ase_knows_by_its_name_is_read(name, tmp_path):
    (frame,) = read(written(SALT, name, tmp_path), name)
    assert sorted(frame.structure.symbols) == ["Cl", "Na"]
    assert frame.structure.volume == pytest.approx(SALT.get_volume(), rel=1e-5)


def test_a_stated_format_needs_no_name():
    stream = io.StringIO()
    ase.io.write(stream, SALT, format="xsf")
    (frame,) = read(stream.getvalue().encode(), "", "xsf")
    assert len(frame.structure) == 2


def test_initial_charges_are_taken(tmp_path):
    atoms = molecule("NH3")
    atoms.set_initial_charges([1.0, 0, 0, 0])
    (frame,) = read(written(atoms, "a.traj", tmp_path), "a.traj")
    assert frame.structure.charge == 1


def test_a_bad_structure_does_not_cost_the_others(tmp_path):
    broken = SALT.copy()
    broken.positions[0] = np.nan
    good, bad = read(written([SALT, broken], "a.traj", tmp_path), "a.traj")
    assert len(good.structure) == 2
    assert isinstance(bad.structure, InvalidStructure)


@pytest.mark.parametrize(("charge", "refused"), [("0", False), ("1", True), ("-2", True)])
def test_a_charge_that_ase_drops_is_refused(charge, refused):
    (frame,) = read(COORD.format(charge=charge).encode(), "coord")
    assert isinstance(frame.structure, InvalidStructure) == refused
    if refused:
        assert f"the file states charge {charge}, which is not read" in str(frame.structure)


@pytest.mark.parametrize(
    "line", ["charge 1", "  Total Charge : -1", "tot_charge = 1,", '"charge": 1', "multiplicity 3"]
)
def test_charges_and_spins_in_the_words_of_a_file_are_refused(line):
    text = COORD.format(charge=0).replace("$end", f"{line}\n$end")
    (frame,) = read(text.encode(), "coord")
    assert isinstance(frame.structure, InvalidStructure)


@pytest.mark.parametrize("unit", ["angs", "frac"])
def test_a_unit_that_ase_drops_is_refused(unit):
    with pytest.raises(InvalidFormat, match=f"coordinates in '{unit}'"):
        read(COORD.format(charge=0).replace("$coord", f"$coord {unit}").encode(), "coord")


def test_elements_of_a_lammps_dump_are_read_and_types_refused():
    (frame,) = read(DUMP.encode(), "a.lammpstrj")
    assert frame.structure.symbols == ["Ar", "Ar"]
    types = DUMP.replace(" element", "").replace(" Ar", "")
    with pytest.raises(InvalidFormat, match=r"types, not elements \(columns: id type x y z\)"):
        read(types.encode(), "a.lammpstrj")
    with pytest.raises(InvalidFormat, match="a LAMMPS file of types, not elements"):
        read(b"made up\n\n4 atoms\n1 atom types\n", "a.data")


@pytest.mark.parametrize("name", ["a.unheard", "a.traj", "", "../a@1"])
def test_what_ase_cannot_read_is_told(name):
    with pytest.raises(InvalidFormat, match="none that ASE can read: ") as caught:
        read(b"nonsense", name)
    assert "/tmp" not in str(caught.value)
