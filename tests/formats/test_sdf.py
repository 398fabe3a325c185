import ase.io
import numpy as np
import pytest
from ase.build import molecule

from app.atoms.structure import Structure
from app.errors import InvalidFormat, InvalidStructure
from app.formats.files import read_structures
from app.formats.sdf import parse

WATER = """water
  made up           3D

  3  2  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.1173 O   0  0  0  0  0  0  0  0  0  0  0  0
    0.0000    0.7572   -0.4692 H   0  0  0  0  0  0  0  0  0  0  0  0
    0.0000   -0.7572   -0.4692 H   0  0  0  0  0  0  0  0  0  0  0  0
  1  2  1  0
  1  3  1  0
M  END
> <note>
1.0

$$$$
"""
HYDROXIDE = """
  made up           3D

  2  1  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.0000 O   0  5  0  0  0  0  0  0  0  0  0  0
    0.0000    0.0000    0.9700 H   0  0  0  0  0  0  0  0  0  0  0  0
  1  2  1  0
M  END
$$$$
"""


def only(text: str):
    (frame,) = parse(text)
    return frame.structure


def test_all_molecules_are_read_with_their_titles():
    first, second, third = parse(WATER + HYDROXIDE + WATER.replace("$$$$\n", ""))
    assert [first.id, second.id, third.id] == ["water", None, "water"]
    assert first.structure.symbols == ["O", "H", "H"]
    assert first.structure.positions[1].tolist() == [0.0, 0.7572, -0.4692]
    assert first.structure.charge == 0
    assert first.structure.multiplicity is None


def test_what_ase_reads_is_read_alike(tmp_path):
    path = tmp_path / "water.sdf"
    path.write_text(WATER)
    (frame,) = read_structures(path)
    atoms = ase.io.read(path)
    np.testing.assert_array_equal(frame.structure.numbers, atoms.numbers)
    np.testing.assert_array_equal(frame.structure.positions, atoms.positions)
    assert len(molecule("H2O")) == len(frame.structure)


def test_charges_of_the_atom_block_and_of_property_lines():
    assert only(HYDROXIDE).charge == -1
    listed = HYDROXIDE.replace("M  END", "M  CHG  2   1  -1   2   2\nM  END")
    assert only(listed).charge == 1


def test_radicals_have_a_multiplicity():
    radical = WATER.replace("M  END", "M  RAD  1   1   2\nM  END")
    assert only(radical).multiplicity == 2
    several = only(WATER.replace("M  END", "M  RAD  2   1   2   2   2\nM  END"))
    assert isinstance(several, InvalidStructure)
    assert "2 radical centres" in str(several)


def test_a_sketch_is_refused_in_its_place():
    sketch, sound = parse(WATER.replace("3D\n", "2D\n", 1) + WATER)
    assert isinstance(sketch.structure, InvalidStructure)
    assert "2D sketch" in str(sketch.structure)
    assert isinstance(sound.structure, Structure)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (WATER.replace("V2000", "V3000"), "molecule 0: no V2000 molfile"),
        (WATER + "one line\n$$$$\n", "molecule 1: no V2000 molfile"),
        (WATER.replace("  3  2", "  x  2"), "molecule 0, line 4: '  x  2' are no counts"),
        (WATER.replace("  3  2", " 99  2"), "molecule 0: 99 atoms announced, but only"),
        (WATER.replace("0.7572", "  east", 1), "molecule 0, line 6: .* are no coordinates"),
    ],
)
def test_what_is_no_molfile_is_named(wrong, message):
    with pytest.raises(InvalidFormat, match=message):
        parse(wrong)
