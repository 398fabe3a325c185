"""Long structures, read and written slab by slab, are those that ASE reads whole."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read, write

from app.errors import InputError, InvalidFormat, InvalidRequest
from app.formats.slabs import Columns, Head, Slab, Source, Writer, open_source, source
from app.formats.slabs import columns as columns_module
from app.formats.slabs import extxyz as extxyz_module
from app.formats.slabs import lammps_data as lammps_module
from app.formats.slabs.extxyz import write_extxyz
from app.formats.slabs.lammps_dump import write_lammps_dump


@pytest.fixture(autouse=True)
def _small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (source, columns_module, extxyz_module, lammps_module):
        monkeypatch.setattr(module, "SLAB", 7)


@pytest.fixture
def crystal() -> Atoms:
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True) * (2, 2, 1)
    atoms.positions += np.random.default_rng(0).normal(0, 0.1, atoms.positions.shape)
    return atoms


def whole(opened: Source) -> tuple[np.ndarray, np.ndarray]:
    slabs = list(opened.slabs())
    assert all(len(slab.numbers) <= 7 for slab in slabs)
    numbers, positions = zip(*slabs, strict=True)
    return np.concatenate(numbers), np.concatenate(positions)


def assert_is(opened: Source, atoms: Atoms, tolerance: float = 0.0) -> None:
    numbers, positions = whole(opened)
    assert opened.head.n_atoms == len(atoms)
    np.testing.assert_array_equal(numbers, atoms.numbers)
    np.testing.assert_allclose(positions, atoms.positions, atol=tolerance)
    np.testing.assert_allclose(opened.head.cell, np.array(atoms.cell), atol=tolerance)
    np.testing.assert_array_equal(opened.head.pbc, atoms.pbc)


def test_extxyz(crystal: Atoms, tmp_path: Path) -> None:
    write(tmp_path / "in.xyz", crystal, format="extxyz")
    opened = open_source(tmp_path / "in.xyz")
    assert_is(opened, crystal, 1e-7)
    forces = np.random.default_rng(1).normal(size=(len(crystal), 3))
    parts = list(opened.slabs())
    ends = np.cumsum([0, *(len(part.numbers) for part in parts)])
    slabs = ((p, {"forces": forces[a:b]}) for p, a, b in zip(parts, ends, ends[1:], strict=False))
    write_extxyz(tmp_path / "out.xyz", opened.head, slabs, energy=-1.5)
    again = read(tmp_path / "out.xyz")
    assert_is(opened, again)
    assert again.get_potential_energy() == -1.5
    np.testing.assert_array_equal(again.get_forces(), forces)


TILTED = [[9.0, 0, 0], [1.5, 8.0, 0], [-0.5, -1.0, 7.0]]
BOXES = {
    "orthogonal": ([[9.0, 0, 0], [0, 8.0, 0], [0, 0, 7.0]], [True, True, False]),
    "restricted": (TILTED, True),
    "none": (None, False),
}


@pytest.mark.parametrize("box", BOXES)
def test_lammps_dump(crystal: Atoms, tmp_path: Path, box: str) -> None:
    """ASE reads what was written: elements, positions outside of the box, forces, the box."""
    cell, pbc = BOXES[box]
    crystal.set_cell(cell)
    crystal.pbc = pbc
    forces = np.random.default_rng(1).normal(size=(len(crystal), 3))
    dumped(crystal, forces, tmp_path)
    again = read(tmp_path / "out.dump", format="lammps-dump-text", units="metal")
    assert again.get_chemical_symbols() == crystal.get_chemical_symbols()
    np.testing.assert_array_equal(again.get_forces(), forces)
    if cell is None:
        extent = np.ptp(crystal.positions, axis=0)
        np.testing.assert_allclose(again.cell.lengths(), extent, atol=1e-9)
        return
    np.testing.assert_array_equal(again.positions, crystal.positions)
    np.testing.assert_allclose(again.cell.array, crystal.cell.array, atol=1e-12)
    np.testing.assert_array_equal(again.pbc, crystal.pbc)


def test_lammps_dump_of_a_general_box(crystal: Atoms, tmp_path: Path) -> None:
    """Its vectors stand as they are, each with a component of the origin behind it."""
    crystal.rotate(30, "x", rotate_cell=True)
    dumped(crystal, np.zeros((len(crystal), 3)), tmp_path)
    lines = (tmp_path / "out.dump").read_text().splitlines()
    begin = lines.index("ITEM: BOX BOUNDS abc origin pp pp pp") + 1
    said = np.array([line.split() for line in lines[begin : begin + 3]], float)
    np.testing.assert_array_equal(said, np.hstack([crystal.cell.array, np.zeros((3, 1))]))
    assert lines[begin + 3] == "ITEM: ATOMS id type element xu yu zu fx fy fz c_energy"
    assert len(lines) == begin + 4 + len(crystal)
    kinds = {tuple(line.split()[1:3]) for line in lines[begin + 4 :]}
    assert kinds == {("1", "Na"), ("2", "Cl")}


def test_lammps_dump_of_a_cell_with_one_vector(crystal: Atoms, tmp_path: Path) -> None:
    crystal.set_cell([9, 0, 0])
    crystal.pbc = [True, False, False]
    with pytest.raises(InvalidRequest, match="three vectors, and the structure has 1"):
        dumped(crystal, np.zeros((len(crystal), 3)), tmp_path)


def test_lammps_dump_of_a_left_handed_cell(crystal: Atoms, tmp_path: Path) -> None:
    crystal.set_cell(np.array(crystal.cell)[[1, 0, 2]])
    with pytest.raises(InvalidRequest, match="right-handed, and those of the structure are left"):
        dumped(crystal, np.zeros((len(crystal), 3)), tmp_path)


def dumped(atoms: Atoms, forces: np.ndarray, folder: Path) -> None:
    """Write atoms with forces and energies as a dump, in slabs of seven."""

    def slabs() -> Iterator[tuple[Slab, dict[str, np.ndarray]]]:
        for a in range(0, len(atoms), 7):
            of = slice(a, a + 7)
            slab = Slab(atoms.numbers[of], atoms.positions[of])
            yield slab, {"forces": forces[of], "energies": np.ones(len(slab.numbers))}

    head = Head(len(atoms), np.array(atoms.cell), np.array(atoms.pbc))
    write_lammps_dump(folder / "out.dump", head, lambda: (s for s, _ in slabs()), slabs())


@pytest.mark.parametrize("style", ["atomic", "charge", "full"])
def test_lammps_data(crystal: Atoms, tmp_path: Path, style: str) -> None:
    path = tmp_path / "in.data"
    tilted = crystal.copy()
    tilted.set_cell(np.add(crystal.cell, [[0, 0, 0], [1.5, 0, 0], [0.5, -1.0, 0]]))
    write(path, tilted, format="lammps-data", atom_style=style, masses=True)
    assert_is(open_source(path), read(path, format="lammps-data", atom_style=style), 1e-9)


def test_type_labels(tmp_path: Path) -> None:
    path = tmp_path / "in.data"
    path.write_text(LABELLED)
    numbers, _ = whole(open_source(path))
    assert numbers.tolist() == [18, 10]


LABELLED = """labels

2 atoms
2 atom types
0 9 xlo xhi
0 9 ylo yhi
0 9 zlo zhi

Atom Type Labels

1 Ar
2 Ne

Atoms # atomic

1 Ar 0 0 0
2 2 4 4 4 0 0 1

Velocities

1 0 0 0
2 0 0 0
"""


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("# atomic", "", r"Atoms of style that is not stated; write it behind"),
        ("# atomic", "# sphere", r"Atoms of style sphere"),
        ("1 Ar 0 0 0", "1 Kr 0 0 0", r"atom 0 is of type Kr, whose mass or label"),
        ("1 Ar 0 0 0", "1 Ar 0 0", r"atom 0: 4 columns, where atoms of style atomic have 5"),
        ("1 Ar 0 0 0", "1 Ar 0 0 x", r"atom 0: 'x' is not a number"),
        ("1 Ar 0 0 0", "1 Ar 0 0 nan", r"of the atoms from 0: atom 0 \(Ar\): z = nan"),
        ("2 atoms", "9 atoms", r"atom 2: 1 columns|only 2 lines follow"),
        ("0 9 xlo xhi", "0 nine xlo xhi", r"no line 'N N xlo xhi'|no numbers"),
        ("Atom Type Labels", "Pair Coeffs", r"section Pair Coeffs stands before Atoms"),
        ("Atoms # atomic", "Atomz", r"section Atomz stands before|no section Atoms"),
    ],
)
def test_bad_lammps_data(before: str, after: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "in.data"
    assert before in LABELLED
    path.write_text(LABELLED.replace(before, after))
    with pytest.raises(InvalidFormat, match=told):
        whole(open_source(path))


def test_masses_of_no_element_and_charges(crystal: Atoms, tmp_path: Path) -> None:
    path = tmp_path / "in.data"
    write(path, crystal, format="lammps-data", atom_style="charge", masses=True)
    text = path.read_text()
    mass = next(line for line in text.splitlines() if "22.98" in line)
    path.write_text(text.replace(mass, "2 21.5"))
    with pytest.raises(InvalidFormat, match=r"type 2 has mass 21.5, which is no element's"):
        open_source(path)
    crystal.set_initial_charges(np.full(len(crystal), 0.5))
    write(path, crystal, format="lammps-data", atom_style="charge", masses=True)
    with pytest.raises(InvalidFormat, match=r"add up to 16; what is read slab by slab is neutral"):
        whole(open_source(path))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("two\n\nAr 0 0 0\n", r"line 1: 'two' is not a number of atoms"),
        ("0\n\n", "the structure has no atoms"),
        ("3\n\nAr 0 0 0\nAr 0 0 4\n", r"only 2 lines follow"),
        ("1\n\nAr 0 0 0\n1\n\nAr 0 0 0\n", r"more follows after 1 atoms"),
        ("9\n\n" + "Ar 0 0 0\n" * 8 + "Ar 0 0 x\n", r"of the atoms from 7: frame 0, line 11: 'x'"),
        (
            "1\ncharge=1\nAr 0 0 0\n",
            r"charge 1 stated; what is read slab by slab is neutral .* in memory",
        ),
    ],
)
def test_bad_extxyz(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "in.xyz"
    path.write_text(text)
    with pytest.raises(InputError, match=told):
        whole(open_source(path))


def made(folder: Path) -> Path:
    head = Head(3, np.eye(3) * 9.0, np.ones(3, dtype=bool))
    with Writer(folder, head, ("numbers", "positions")) as writer:
        writer.write("numbers", 0, np.array([18, 18, 10]))
        writer.write("positions", 0, np.arange(9.0).reshape(3, 3))
    return folder


def test_columns_are_files_of_numpy(tmp_path: Path) -> None:
    folder = made(tmp_path / "a.columns")
    np.testing.assert_array_equal(np.load(folder / "numbers.npy"), [18, 18, 10])
    positions = np.load(folder / "positions.npy", mmap_mode="r")
    np.testing.assert_array_equal(positions, np.arange(9.0).reshape(3, 3))
    assert_is(Columns(folder), Atoms([18, 18, 10], positions, cell=np.eye(3) * 9.0, pbc=True))


def test_bad_columns(tmp_path: Path) -> None:
    folder = made(tmp_path / "a.columns")
    np.save(folder / "positions.npy", np.zeros((3, 2)))
    with pytest.raises(InvalidFormat, match=r"positions.npy: <f8 of shape \(3, 2\); expected <f8"):
        Columns(folder)
    np.save(folder / "positions.npy", np.zeros((3, 3), np.float32))
    with pytest.raises(InvalidFormat, match=r"positions.npy: <f4 of shape \(3, 3\)"):
        Columns(folder)
    np.save(folder / "positions.npy", np.full((3, 3), np.nan))
    with pytest.raises(InvalidFormat, match=r"of the atoms from 0: atom 0 \(Ar\): x = nan"):
        whole(Columns(folder))
    cut = (folder / "positions.npy").read_bytes()[:-8]
    (folder / "positions.npy").write_bytes(cut)
    with pytest.raises(InvalidFormat, match=r"positions.npy: 192 bytes; expected 200; is it cut"):
        Columns(folder)
    (folder / "positions.npy").write_text("no array")
    with pytest.raises(InvalidFormat, match=r"positions.npy: no file of numpy"):
        Columns(folder)
    (folder / "positions.npy").unlink()
    with pytest.raises(InvalidFormat, match=r"positions.npy: the column is missing"):
        Columns(folder)
    head = json.loads((folder / "head.json").read_text())
    for change, told in (
        ({"version": 2}, "version 2; expected 1"),
        ({"n_atoms": "3"}, "n_atoms is missing, or no int"),
        ({"format": "other"}, "no head of equipot-columns"),
        ({"columns": ["numbers"]}, "column positions is missing"),
    ):
        (folder / "head.json").write_text(json.dumps(head | change))
        with pytest.raises(InvalidFormat, match=told):
            Columns(folder)
    (folder / "head.json").write_text("{")
    with pytest.raises(InvalidFormat, match="no JSON"):
        Columns(folder)


def test_what_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "in.xyz.gz").write_bytes(b"\x1f\x8b\x08\x00\xff\xfe")
    with pytest.raises(InvalidFormat, match=r"compressed|not a number of atoms"):
        open_source(tmp_path / "in.xyz.gz")
    with pytest.raises(InvalidFormat, match="No such file"):
        open_source(tmp_path / "none.xyz")
    with pytest.raises(InvalidFormat, match="no folder of columns"):
        open_source(tmp_path / "none.columns")
    with pytest.raises(InvalidFormat, match="format 'cif' is not read slab by slab"):
        open_source(tmp_path / "none.xyz", "cif")
