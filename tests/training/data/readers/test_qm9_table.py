"""QM9 as tables: those of qm9pack and MoleculeNet, and the one that has no geometries."""

import pytest
from ase import units

from app.errors import InvalidData
from app.training.data.config import Source
from app.training.data.load import Finder, load_sources

PACKED = """XYZ_file,Index,SMILES,Elements,XYZ_Ang,InternalEnergy_0K_au,GibbsFreeEnergy_298K_au
"dsgdb9nsd_000003.xyz",3,"O","['O','H','H']","[[-0.03,0.97,0.],[0.06,0.02,0.],[0.87,1.3,0.]]",-76.404702,-76.422349
"dsgdb9nsd_000002.xyz",2,"N","['N']","[[0.,1.,2.]]",-56.525887,-56.544961
"""
SDF = """gdb_3
 -OEChem-03231823253D

  3  2  0     0  0  0  0  0  0999 V2000
   -0.0300    0.9700    0.0000 O   0  0  0  0  0  0  0  0  0  0  0  0
    0.0600    0.0200    0.0000 H   0  0  0  0  0  0  0  0  0  0  0  0
    0.8700    1.3000    0.0000 H   0  0  0  0  0  0  0  0  0  0  0  0
  1  2  1  0  0  0  0
  1  3  1  0  0  0  0
M  END
$$$$
gdb_2
 -OEChem-03231823253D

  1  0  0     0  0  0  0  0  0999 V2000
    0.0000    1.0000    2.0000 N   0  0  0  0  0  0  0  0  0  0  0  0
M  END
$$$$
"""
TABLE = "mol_id,A,u0,g298,u0_atom\ngdb_3,1.0,-76.404702,-76.422349,-218.7\ngdb_2,1.0,-56.525887,-56.544961,-276.8\n"
SMILES_ONLY = "mol_id,smiles,A,u0\ngdb_3,O,1.0,-76.404702\n"


def load(folder, path, **keys):
    return load_sources([Source(path=path, format="qm9", **keys)], Finder(folder))


@pytest.fixture
def tables(tmp_path):
    for name, content in (
        ("part1.csv", PACKED),
        ("gdb9.sdf", SDF),
        ("gdb9.sdf.csv", TABLE),
        ("qm9.csv", SMILES_ONLY),
    ):
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.mark.parametrize("path", ["part1.csv", "gdb9.sdf"])
def test_both_layouts_hold_total_energies_and_geometries(tables, path):
    found = load(tables, path)
    assert [f.info["molecule"] for f in found] == [3, 2]
    assert [f.energy for f in found] == pytest.approx(
        [-76.404702 * units.Hartree, -56.525887 * units.Hartree]
    )
    assert found[0].structure.numbers.tolist() == [8, 1, 1]
    assert found[0].structure.positions[1].tolist() == [0.06, 0.02, 0.0]
    assert not found[0].has_forces
    (free,) = load(tables, path, keys={"energy": "G"}, index=":1")
    assert free.energy == pytest.approx(-76.422349 * units.Hartree)


@pytest.mark.parametrize("path", ["part1.csv", "gdb9.sdf"])
def test_the_list_of_inconsistent_molecules_counts_for_tables_too(tables, path):
    (tables / "uncharacterized.txt").write_text("Index\n  3  O\n")
    assert [f.info["molecule"] for f in load(tables, path, leave_out="uncharacterized.txt")] == [2]


@pytest.mark.parametrize(
    ("path", "before", "after", "message"),
    [
        ("qm9.csv", "", "", "qm9.csv: no columns Elements and XYZ_Ang: a table without geometries"),
        (
            "part1.csv",
            "Internal",
            "internal",
            "part1.csv: part1.csv has no column InternalEnergy_0K_au",
        ),
        ("part1.csv", "['N']", "['Qq']", "part1.csv, line 3: not a row of QM9: 'Qq'"),
        ("part1.csv", "[[0.,1.,2.]]", "[[0.,1.]]", "part1.csv, line 3: not a row of QM9: "),
        ("part1.csv", "-56.525887", "", "part1.csv, line 3: not a row of QM9: "),
        (
            "gdb9.sdf",
            "gdb_2",
            "gdb_4",
            "gdb9.sdf, line 3 of gdb9.sdf.csv: gdb_2, but the molecule in this",
        ),
        (
            "gdb9.sdf",
            SDF[SDF.index("gdb_2") :],
            "",
            "gdb9.sdf: 1 molecules, but 2 rows in gdb9.sdf.csv",
        ),
        (
            "gdb9.sdf",
            "V2000",
            "V4000",
            "gdb9.sdf, line 2 of gdb9.sdf.csv: .*: molecule 0, line 1: no molfile",
        ),
    ],
)
def test_a_bad_table_is_named(tables, path, before, after, message):
    file = tables / path
    file.write_text(file.read_text().replace(before, after))
    with pytest.raises(InvalidData, match=f"^{message}"):
        load(tables, path)


def test_an_sdf_without_its_table_is_named(tables):
    (tables / "gdb9.sdf.csv").unlink()
    with pytest.raises(
        InvalidData, match=r"gdb9\.sdf: its energies are in gdb9\.sdf\.csv, which is not beside it"
    ):
        load(tables, "gdb9.sdf")
