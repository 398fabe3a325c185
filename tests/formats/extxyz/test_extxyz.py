import io

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.data import chemical_symbols
from hypothesis import given, settings
from hypothesis import strategies as st

from app.atoms.structure import Structure
from app.errors import InputError, InvalidFormat, InvalidStructure
from app.formats.extxyz import format_frame, iter_frames, parse
from app.formats.info_keys import is_remark

WATER = """3
Properties=species:S:1:pos:R:3 id=w1 source="a book" charge=-1
O 0.0 0.0 0.1
H 0.0 0.9 -0.6
H 0.0 -0.9 -0.6
"""
ARGON = """1
Lattice="5.0 0.0 0.0 0.5 5.0 0.0 0.0 0.0 6.0" Properties=species:S:1:pos:R:3 pbc="T T F"
Ar 1.0 2.0 3.0
"""
POSITIONS = [[0.0, 0.0, 0.1], [0.0, 0.9, -0.6], [0.0, -0.9, -0.6]]

coordinates = st.floats(-1e6, 1e6).map(float)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
infos = st.dictionaries(texts.filter(is_remark), texts, max_size=3)


@st.composite
def structures(draw: st.DrawFn) -> Structure:
    n = draw(st.integers(1, 6))
    numbers = draw(st.lists(st.integers(1, 118), min_size=n, max_size=n))
    positions = draw(
        st.lists(st.tuples(coordinates, coordinates, coordinates), min_size=n, max_size=n)
    )
    cell = np.diag(draw(st.lists(st.floats(0.5, 100), min_size=3, max_size=3))) + np.triu(
        np.full((3, 3), 0.1), 1
    )
    pbc = np.array(draw(st.lists(st.booleans(), min_size=3, max_size=3)))
    state = {
        "charge": draw(st.integers(-3, min(3, sum(numbers)))),
        "multiplicity": draw(st.none() | st.integers(1, 5)),
    }
    if draw(st.booleans()):
        return Structure(np.array(numbers), positions, **state)
    return Structure(np.array(numbers), positions, cell, pbc, **state)


def only(text: str) -> Structure:
    (frame,) = parse(text)
    assert isinstance(frame.structure, Structure), frame.structure
    return frame.structure


def assert_equal(found: Structure | InputError, expected: Structure) -> None:
    assert isinstance(found, Structure), found
    for name in ("numbers", "positions", "cell", "pbc"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    assert (found.charge, found.multiplicity) == (expected.charge, expected.multiplicity)


def by_ase(text: str) -> Atoms:
    atoms = ase.io.read(io.StringIO(text), format="extxyz")
    assert isinstance(atoms, Atoms)
    return atoms


def test_frames_with_their_id_and_remarks():
    water, argon = parse(WATER + ARGON)
    assert_equal(water.structure, Structure(np.array([8, 1, 1]), POSITIONS, charge=-1))
    assert (water.id, water.info) == ("w1", {"id": "w1", "source": "a book"})
    cell = np.array([[5.0, 0, 0], [0.5, 5, 0], [0, 0, 6]])
    assert_equal(
        argon.structure,
        Structure(np.array([18]), [[1.0, 2, 3]], cell, np.array([True, True, False])),
    )
    assert (argon.id, argon.info) == (None, {})


@settings(max_examples=60)
@given(st.lists(st.tuples(structures(), infos), max_size=4))
def test_what_is_written_is_read_back(frames):
    found = parse("".join(format_frame(structure, info=info) for structure, info in frames))
    assert len(found) == len(frames)
    for frame, (structure, info) in zip(found, frames, strict=True):
        assert_equal(frame.structure, structure)
        assert (frame.info, frame.id) == (info, info.get("id"))


@settings(max_examples=30)
@given(structures())
def test_ase_reads_the_same_structure(structure):
    atoms = by_ase(format_frame(structure))
    np.testing.assert_array_equal(atoms.numbers, structure.numbers)
    np.testing.assert_array_equal(atoms.positions, structure.positions)
    np.testing.assert_array_equal(atoms.cell.array, structure.cell)
    np.testing.assert_array_equal(atoms.pbc, structure.pbc)


def test_ase_reads_the_same_results():
    rng = np.random.default_rng(0)
    structure = only(ARGON.replace("T T F", "T T T").replace("1\n", "2\n", 1) + "Ar 0 0 0\n")
    forces, energies, stress = rng.normal(size=(2, 3)), rng.normal(size=2), rng.normal(size=(3, 3))
    stress += stress.T
    info = {"model": "m@1", "relaxed": True, "steps": 12, "told": 'a "word"', "fmax": 1e-5}
    atoms = by_ase(
        format_frame(
            structure,
            {"energy": -1.0 / 3, "forces": forces, "stress": stress, "energies": energies},
            info,
        )
    )
    assert atoms.get_potential_energy() == -1.0 / 3
    np.testing.assert_array_equal(atoms.get_forces(), forces)
    np.testing.assert_array_equal(atoms.get_potential_energies(), energies)
    np.testing.assert_array_equal(atoms.get_stress(voigt=False), stress)
    xx, yy, zz, yz, xz, xy = atoms.get_stress()
    np.testing.assert_array_equal([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], stress)
    assert atoms.info == info


def test_uncertainties_are_a_value_and_a_column_and_no_remarks_of_the_input():
    structure = only(WATER)
    text = format_frame(
        structure,
        {"energy_std": 0.25, "forces_std": np.array([0.5, 0.125, 3.0])},
        {"energy_std": "9"},
    )
    atoms = by_ase(text)
    assert atoms.info["energy_std"] == 0.25
    np.testing.assert_array_equal(atoms.arrays["forces_std"], [0.5, 0.125, 3.0])
    assert_equal(only(text), structure)


@pytest.mark.parametrize("pbc", [False, True, (True, False, True)])
def test_what_ase_writes_is_read(pbc, tmp_path):
    atoms = Atoms(
        "OCSi",
        np.random.default_rng(0).normal(size=(3, 3)),
        pbc=pbc,
        cell=[[4, 0, 0], [1, 5, 0], [0, 0.5, 6]],
    )
    atoms.info.update(
        charge=1, multiplicity=2, name="two words", id="x", values=np.array([1.5, 2.0]), ok=True
    )
    atoms.set_array("tags2", np.arange(3))
    atoms.set_array("velo", np.ones((3, 3)))
    atoms.calc = SinglePointCalculator(
        atoms, energy=-3.0, forces=np.ones((3, 3)), stress=np.arange(6.0)
    )
    ase.io.write(tmp_path / "a.xyz", [atoms, atoms], format="extxyz")
    frames = parse((tmp_path / "a.xyz").read_text())
    assert len(frames) == 2
    expected = Structure(
        atoms.numbers, np.round(atoms.positions, 8), atoms.cell.array, atoms.pbc, 1, 2
    )
    for frame in frames:
        assert_equal(frame.structure, expected)
        assert frame.info == {"name": "two words", "id": "x", "values": "1.5 2.0", "ok": "T"}


def test_atoms_that_may_not_move_as_ase_writes_them(tmp_path):
    atoms = Atoms("OH2", np.eye(3), constraint=FixAtoms([1]))
    ase.io.write(tmp_path / "fixed.xyz", atoms)
    (frame,) = parse((tmp_path / "fixed.xyz").read_text())
    assert frame.structure.fixed.tolist() == [False, True, False]
    (tmp_path / "again.xyz").write_text(format_frame(frame.structure, {"forces": np.ones((3, 3))}))
    (constraint,) = ase.io.read(tmp_path / "again.xyz").constraints
    assert constraint.index.tolist() == [1]


def test_an_atom_that_is_fixed_in_part_costs_only_its_frame():
    text = "1\nProperties=species:S:1:pos:R:3:move_mask:L:3\nH 0 0 0 {}\n"
    whole, part = parse(text.format("F F F") + text.format("T F T"))
    assert whole.structure.fixed.tolist() == [True]
    assert "atom 0: move_mask fixes some of its coordinates" in str(part.structure)


def test_results_of_the_input_are_not_passed_on():
    text = format_frame(
        only(WATER),
        {"energy": 1.0},
        {"energy": "-5.0", "stress": "0", "pbc": "T", "spin": "3", "dft": "-5.0"},
    )
    assert (
        text.splitlines()[1]
        == 'Properties=species:S:1:pos:R:3 pbc="F F F" energy=1.0 charge=-1 dft=-5.0'
    )


def test_numbers_that_are_not_finite_are_written_as_nan():
    forces = np.array([[np.inf, 0.0, np.nan]])
    assert (
        format_frame(only(ARGON), {"forces": forces}).splitlines()[2]
        == "Ar 1.0 2.0 3.0 nan 0.0 nan"
    )


@pytest.mark.parametrize(
    "text",
    [
        "3\n\nO 0.0 0.0 0.1\nH 0.0 0.9 -0.6\nH 0.0 -0.9 -0.6",
        "3\nwater, 100 % pure\nO 0.0 0.0 0.1\nH 0.0 0.9 -0.6\nH 0.0 -0.9 -0.6\n",
        "\n  3  \n\n O\t0.0 0.0 0.1 -0.8\n  H 0.0 0.9 -0.6 0.4 x y\nH 0.0 -0.9 -0.6 0.4\n\n\n",
        "3\r\n\r\nO 0.0 0.0 0.1\r\nH 0.0 0.9 -0.6\r\nH 0.0 -0.9 -0.6\r\n\r\n",
        "3\n\n8 0.0 0.0 1d-1\n1 0.0 9.0D-1 -6E-1\n1 .0 -.9 -0.6\n",
        "3\r\rO 0.0 0.0 0.1\rH 0.0 0.9 -0.6\rH 0.0 -0.9 -0.6\r",
        "3\na\x85b\u2028c\x0c\nO 0.0 0.0 0.1\nH 0.0 0.9 -0.6\nH 0.0 -0.9 -0.6\n",
        "3\nProperties=Z:I:1:pos:R:3\n8 0.0 0.0 0.1\n1 0.0 0.9 -0.6\n1 0.0 -0.9 -0.6\n",
        "3\nProperties=pos:R:3:q:R:1:species:S:1\n0 0 0.1 7 O\n0 0.9 -0.6 7 H\n0 -0.9 -0.6 7 H\n",
        "3\nProperties=symbols:S:1:positions:R:3:fixed:L:1\nO 0 0 0.1 T\nH 0 0.9 -0.6 F\nH 0 -0.9 -0.6 F\n",
        "3\ncharge=0 E=-76.4\nO 0 0 0.1\nH 0 0.9 -0.6\nH 0 -0.9 -0.6\n",
    ],
    ids=[
        "plain",
        "text",
        "blanks",
        "windows",
        "fortran",
        "macintosh",
        "no line ends",
        "numbers",
        "order",
        "ase names",
        "pairs",
    ],
)
def test_ways_to_write_water(text):
    assert_equal(only(text), Structure(np.array([8, 1, 1]), POSITIONS))


def test_a_comment_without_pairs_is_kept():
    assert parse("1\n a remark \nH 0 0 0\n")[0].info == {"comment": "a remark"}
    assert parse("1\n\nH 0 0 0\n")[0].info == {}


@pytest.mark.parametrize(
    ("pairs", "charge", "multiplicity"),
    [
        ("total_charge=2", 2, None),
        ("charge=-1.0 spin_multiplicity=2", -1, 2),
        ("charge=+1 spin=3", 1, 3),
        ('charge="1" multiplicity=1', 1, 1),
    ],
)
def test_charge_and_multiplicity(pairs, charge, multiplicity):
    structure = only(f"1\n{pairs}\nC 0 0 0\n")
    assert (structure.charge, structure.multiplicity) == (charge, multiplicity)


@pytest.mark.parametrize(
    ("pbc", "flags"),
    [
        ("", [1, 1, 1]),
        ('pbc="T T F"', [1, 1, 0]),
        ("pbc=F", [0, 0, 0]),
        ('pbc="1 0 1"', [1, 0, 1]),
        ("pbc=[true, false, True]", [1, 0, 1]),
    ],
)
def test_periodicity(pbc, flags):
    structure = only(f'1\nLattice="4 0 0 0 4 0 0 0 4" {pbc}\nH 0 0 0\n')
    np.testing.assert_array_equal(structure.pbc, flags)


def test_frames_are_read_when_they_are_asked_for():
    frames = iter_frames(ARGON + WATER + WATER)
    assert next(frames).structure.symbols == ["Ar"]
    assert next(frames).id == "w1"


def test_an_empty_file_has_no_frames():
    assert [parse(text) for text in ("", "\n \n\r\n")] == [[], []]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ("1\n\nXx 0 0 0\n", "atom 0: 'Xx' is not a chemical symbol but a dummy"),
        ("2\n\nH 0 0 0\n6 0 0 1\n", "atom 1: '6' is not a chemical symbol"),
        ("1\n\n119 0 0 0\n", "atom 0: atomic number"),
        ("1\nProperties=Z:I:1:pos:R:3\n1.5 0 0 0\n", "atom 0: atomic number 0"),
        ("1\n\nH 0 nan 0\n", r"atom 0 \(H\): y = nan"),
        ("1\n\nH 0 0 -Infinity\n", r"atom 0 \(H\): z = -inf"),
        ("1\n\nH 0 0 1e999\n", r"atom 0 \(H\): z = inf"),
        ("1\npbc=T\nH 0 0 0\n", "periodic along vector 0, which is 0 Å long; give a cell"),
        ('1\nLattice="4 0 0 4 0 0 0 0 4"\nH 0 0 0\n', "cell: its volume is zero"),
        ('1\nLattice="4 0 0 0 nan 0 0 0 4"\nH 0 0 0\n', "cell: vector 1 is .* finite"),
        ("1\ncharge=half\nH 0 0 0\n", "charge: half; expected a whole number"),
        ("1\nspin=0.5\nH 0 0 0\n", "spin: 0.5; expected a whole number"),
        ("0\n\n", "no atoms; give at least one"),
    ],
)
def test_a_bad_structure_does_not_cost_the_others(frame, message):
    first, bad, last = parse(WATER + frame + ARGON)
    assert isinstance(first.structure, Structure)
    assert isinstance(last.structure, Structure)
    assert isinstance(bad.structure, InvalidStructure)
    with pytest.raises(InvalidStructure, match=message):
        raise bad.structure


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", "frame 0, line 1: 'hello' is not a number of atoms"),
        ("-1\n\n", "frame 0, line 1: '-1' is not a number of atoms"),
        ("2.0\n\n", "frame 0, line 1: '2.0' is not a number of atoms"),
        (
            WATER.replace("3\n", "2\n", 1),
            "frame 0, line 1: 2 atoms announced, but line 5, 'H 0.0 -0.9 -0.6', is no number of "
            "atoms of a next frame",
        ),
        (
            WATER.replace("3\n", "4\n", 1),
            "frame 0, line 1: 4 atoms announced, but only 3 lines follow; is it",
        ),
        (
            WATER.replace("3\n", "4\n", 1) + ARGON,
            "frame 0, line 6: 1 columns where 4 are expected, in '1'; check Prop",
        ),
        ("9" * 15 + "\n\nH 0 0 0\n", "999999999999999 atoms announced, but only 1 lines follow"),
        ("9" * 5000 + "\n\nH 0 0 0\n", "is not a number of atoms"),
        (WATER + "\n\n5\n", "frame 1, line 8: 5 atoms announced, but only 0 lines follow"),
        (
            ARGON + WATER.replace("0.9", "up", 1),
            "frame 1, line 7: 'up' is not a number, in 'H 0.0 up -0.6'",
        ),
        ("1\n\nH 0 0 1_0\n", "frame 0, line 3: '1_0' is not a number"),
        (
            "1\n\nH 0 0\n",
            "frame 0, line 3: 3 columns where 4 are expected, in 'H 0 0'; check the number of atoms, 1",
        ),
        ("2\n\nH 0 0 0\n\nH 0 0 1\n", "frame 0, line 4: 0 columns where 4 are expected, in ''"),
        (
            "1\nProperties=species:S:1:pos:R:3\nH 0 0 0 0\n",
            "frame 0, line 3: more than 4 columns where 4 are expected",
        ),
        (
            "1\nProperties=species:S:1:pos:R:3:forces:R:3\nH 0 0 0\n",
            "frame 0, line 3: 4 columns where 7 are expected",
        ),
        (
            "1\nProperties=species:S:1\nH\n",
            "frame 0, line 2: Properties: 'species:S:1' describes no structure; write",
        ),
        ("1\nProperties=pos:R:3\n0 0 0\n", "Properties: 'pos:R:3' describes no structure"),
        (
            "1\nProperties=species:S:1:pos:R\nH 0 0 0\n",
            "Properties: 'species:S:1:pos:R' describes no structure",
        ),
        ("1\nProperties=species:S:1:pos:R:2\nH 0 0\n", "Properties: 'pos:R:2' is no valid column"),
        (
            "1\nProperties=species:S:1:pos:Q:3\nH 0 0 0\n",
            "Properties: 'pos:Q:3' is no valid column",
        ),
        (
            "1\nProperties=species:S:1:pos:R:3:x:Q:1\nH 0 0 0 0\n",
            "Properties: 'x:Q:1' is no valid column",
        ),
        (
            "1\nProperties=species:S:x:pos:R:3\nH 0 0 0\n",
            "Properties: 'species:S:x' is no valid column",
        ),
        (
            "1\nProperties=species:S:1:pos:R:3:x:R:0\nH 0 0 0\n",
            "Properties: 'x:R:0' is no valid column",
        ),
        ("1\nProperties=Z:I:1:pos:R:3\nH 0 0 0\n", "frame 0, line 3: 'H' is not a number"),
        (
            '1\nLattice="1 2 3"\nH 0 0 0\n',
            'frame 0, line 2: Lattice="1 2 3" is not nine numbers; write',
        ),
        ('1\nLattice="4 0 0 0 four 0 0 0 4"\nH 0 0 0\n', "is not nine numbers"),
        ('1\nLattice="4 0 0 0 4 0 0 0 4\nH 0 0 0\n', "is not nine numbers"),
        (
            '1\nLattice="4 0 0 0 4 0 0 0 4" pbc="T T"\nH 0 0 0\n',
            'frame 0, line 2: pbc="T T" is not one or',
        ),
        ("1\npbc=maybe\nH 0 0 0\n", 'pbc="maybe" is not one or three flags'),
    ],
)
def test_a_malformed_frame_names_frame_line_value_and_remedy(text, message):
    last = parse(text)[-1].structure
    assert isinstance(last, InvalidFormat)
    assert message in str(last)


def test_a_malformed_frame_costs_only_itself():
    bad = "2\nid=bad\nH 0 0 0\nH 0 0 up\n"
    first, malformed, last = parse(WATER + bad + ARGON)
    assert (first.id, malformed.id) == ("w1", "bad")
    assert isinstance(malformed.structure, InvalidFormat)
    assert last.structure.symbols == ["Ar"]


def test_a_wrong_number_of_atoms_ends_the_file_and_is_answered_by_nothing():
    for wrong in ("2\n", "4\n"):
        first, last = parse(ARGON + WATER.replace("3\n", wrong, 1) + ARGON)
        assert first.structure.symbols == ["Ar"]
        assert isinstance(last.structure, InvalidFormat)
        assert "the number of atoms" in str(last.structure) or "atoms announced" in str(
            last.structure
        )


def test_long_values_are_shortened_in_messages():
    (frame,) = parse("1\n\nH 0 0 " + "x" * 10_000)
    assert len(str(frame.structure)) < 250


@settings(max_examples=200)
@given(st.data())
def test_damaged_files_are_read_or_refused(data):
    text = WATER + ARGON
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        text = text[:place] + data.draw(texts) + text[place + data.draw(st.integers(0, 9)) :]
    for frame in parse(text):
        assert isinstance(frame.structure, Structure | InputError)


LATTICE = "5 0 0 0 5 0 0 0 5"


@pytest.mark.parametrize(
    "comment",
    [
        'lattice="{}" properties=species:S:1:pos:R:3 PBC="t t f"',
        'LATTICE="{}" PROPERTIES=Species:S:1:Pos:R:3 pbc="TRUE TRUE FALSE"',
        "lattice={{{}}} Pbc=[T,T,F]",
    ],
)
def test_keys_are_read_in_any_case(comment):
    (frame,) = parse(f"1\n{comment.format(LATTICE)} other=1\nAr 0 0 0\n")
    np.testing.assert_array_equal(frame.structure.cell, 5 * np.eye(3))
    assert frame.structure.pbc.tolist() == [True, True, False]
    assert frame.info == {"other": "1"}


def test_columns_are_found_by_their_names_in_any_case():
    text = "2\nproperties=species:S:1:force:R:3:POS:R:3\nAr 9 9 9 0 0 0\nAr 9 9 9 0 0 3.8\n"
    np.testing.assert_array_equal(only(text).positions, [[0, 0, 0], [0, 0, 3.8]])


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        (f'Lattice="{LATTICE}" lattice="6 0 0 0 6 0 0 0 6"', "lattice stands twice"),
        (f'cell="{LATTICE}"', "cell: did you mean Lattice? write"),
        ("charge=1 charge=0", "frame 0, line 2: charge stands twice, with different values"),
        ("units=bohr units=Å", "units stands twice"),
        (f'Lattice="{LATTICE}" Lattice="6 0 0 0 6 0 0 0 6"', "Lattice stands twice"),
        ("box=[5,5,5]", "box: did you mean Lattice? write"),
        ('Lattice: "9 0 0 0 9 0 0 0 9"', "Lattice: did you mean Lattice? write"),
        ("energy=1 cell: 9 9 9", "cell: did you mean"),
        ('{"cell": [[9, 0, 0], [0, 9, 0], [0, 0, 9]]}', "cell: did you mean"),
        *(
            (f'{key}="9 9 9"', f"{key}: did you mean Lattice?")
            for key in [
                "box_size",
                "box_lengths",
                "unitcell",
                "cell_lengths",
                "cellpar",
                "cell_vectors",
                "latt",
                "lattice_constant",
            ]
        ),
        ("Lattice=[[5,0,0],[1,5,0],[0,0,5]]", "whether vectors are rows is not clear"),
        ("Properties=species:S:1:pos:R:3:pos:R:3", "'pos:R:3' is there twice"),
        ("Properties=species:S:1:pos:R:3:foo:R:400000000", "more than 10000 columns"),
        ("Properties=species:S:1:pos:R:3:initial_charges:R:3", "'initial_charges:R:3' is no"),
    ],
)
def test_what_is_not_clear_is_refused(comment, message):
    (frame,) = parse(f"1\n{comment}\nAr 0 0 0 0 0 0\n")
    assert isinstance(frame.structure, InvalidFormat)
    assert message in str(frame.structure)


@pytest.mark.parametrize(
    "comment",
    [f'Lattice="{LATTICE}" cell_lengths="5 5 5"', "lattice relaxed: 1", "cell_line=HeLa cells: 3"],
)
def test_names_beside_a_lattice_or_of_no_cell_are_remarks(comment):
    assert only(f"1\n{comment}\nAr 0 0 0\n").symbols == ["Ar"]


def test_a_key_that_stands_twice_costs_only_its_frame():
    bad, good = parse("1\ncharge=1 charge=0\nH 0 0 0\n1\ncharge=1 charge=1\nH 0 0 0\n")
    assert isinstance(bad.structure, InvalidFormat)
    assert good.structure.charge == 1


def test_nested_rows_of_a_symmetric_cell_are_read():
    structure = only("1\nLattice=[[5,0,0],[0,6,0],[0,0,7]]\nAr 0 0 0\n")
    np.testing.assert_array_equal(structure.cell, np.diag([5.0, 6.0, 7.0]))


@pytest.mark.parametrize(
    ("comment", "charge", "multiplicity"),
    [
        ("Charge: 1", 1, None),
        ("charge=1;mult=2", 1, 2),
        ('{"charge": -1, "multiplicity": 2}', -1, 2),
        ("net_charge=-2 unpaired=2", -2, 3),
        ("1 1", 0, None),
        ('name="charge 3" q=+1', 1, None),
        ("""id="a;charge=1" note='b|mult=2' tag={c,q=3} of="box: 9" """, 0, None),
        ("id=a;charge=1", 1, None),
        ("energy=-5.0 charge 1", 1, None),
    ],
)
def test_charge_and_multiplicity_in_many_spellings(comment, charge, multiplicity):
    structure = only(f"1\n{comment}\nH 0 0 0\n")
    assert (structure.charge, structure.multiplicity) == (charge, multiplicity)


def test_what_was_read_of_charge_and_unit_is_no_remark():
    (frame,) = parse("1\nnet_charge=1 Mult=2 units=bohr note=kept\nH 0 0 0\n")
    assert frame.info == {"note": "kept"}
    again = parse(format_frame(frame.structure, info=frame.info))[0]
    assert_equal(again.structure, frame.structure)


@pytest.mark.parametrize(
    ("column", "values", "charge"),
    [
        ("initial_charges:R:1", ("1.0", "0.0"), 1),
        ("initial_charges:R:1", ("-0.667", "-0.334"), -1),
        ("formal_charge:I:1", ("2", "0"), 2),
        ("charge:R:1", ("0.6", "0.4"), 1),
        ("charges:R:1", ("0.25", "0.5"), 0),
        ("q:R:1", ("3", "4"), 0),
    ],
)
def test_charges_of_atoms_sum_up(column, values, charge):
    rows = "".join(f"Ar 0 0 {4 * row} {value}\n" for row, value in enumerate(values))
    assert only(f"2\nProperties=species:S:1:pos:R:3:{column}\n{rows}").charge == charge


@pytest.mark.parametrize(
    ("columns", "rows", "message"),
    [
        ("initial_charges:R:1", ["0.3", "0.4"], "their sum is 0.7, no whole number"),
        ("initial_magmoms:R:1", ["1.0", "-1.0"], "cancel each other"),
        ("initial_magmoms:R:1", ["1.2", "1.2"], "their sum is 2.4"),
        ("initial_magmoms:R:3", ["0 0 1", "0 0 1"], "moments with directions"),
        ("occupancy:R:1", ["1", "0.5"], "atom 1: occupancy 0.5; energies are those of whole atoms"),
        ("magmoms:R:1", ["0.4", "0.2"], "their sum is 0.6"),
        ("spin:R:1", ["1", "-1"], "cancel each other"),
        ("Z:I:1", ["18", "17"], "atom 1: atomic number 17 beside the symbol 'Ar'"),
        ("initial_charges:R:1", ["nan", "1"], "their sum is nan"),
    ],
)
def test_charges_and_moments_that_cannot_be_used_are_refused(columns, rows, message):
    body = "".join(f"Ar 0 0 {4 * n} {row}\n" for n, row in enumerate(rows))
    (frame,) = parse(f"2\nProperties=species:S:1:pos:R:3:{columns}\n{body}")
    assert isinstance(frame.structure, InvalidStructure)
    assert message in str(frame.structure)


@pytest.mark.parametrize("column", ["initial_magmoms", "magmoms", "spin"])
def test_magnetic_moments_make_a_multiplicity(column):
    comment = f"Properties=species:S:1:pos:R:3:{column}:R:1"
    text = f"2\n{comment}\nO 0 0 0 1\nO 0 0 1.2 1\n"
    assert only(text).multiplicity == 3
    assert only(text.replace(" 1\n", " 0\n")).multiplicity is None
    assert only(text.replace(comment, comment + " multiplicity=1")).multiplicity == 1


@pytest.mark.parametrize(
    ("comment", "factor"),
    [("units=bohr", 0.529177210903), ("length_unit=nm", 10.0), ("units=Angstrom", 1.0)],
)
def test_units_of_length_are_honoured(comment, factor):
    structure = only(f'1\n{comment} Lattice="{LATTICE}"\nAr 0 0 1\n')
    np.testing.assert_allclose(structure.positions, [[0, 0, factor]])
    np.testing.assert_allclose(structure.cell, factor * 5 * np.eye(3))


@pytest.mark.parametrize("comment", ["bohr", "all in nm", "coordinates in Bohr", "length_unit=ell"])
def test_units_that_are_not_clear_are_refused(comment):
    (frame,) = parse(f"1\n{comment}\nAr 0 0 1\n")
    assert isinstance(frame.structure, InvalidStructure)
    assert "unit" in str(frame.structure)


@pytest.mark.parametrize(
    ("numbers", "comment"),
    [("1 1", ""), ("1 2", ""), ("2 1 3", ""), ("1 8", "Atoms. Timestep: 0")],
)
def test_numbers_that_may_be_types_are_refused(numbers, comment):
    rows = "".join(f"{z} 0 0 {4 * n}\n" for n, z in enumerate(numbers.split()))
    (frame,) = parse(f"{len(numbers.split())}\n{comment}\n{rows}")
    assert isinstance(frame.structure, InvalidStructure)
    assert "may be LAMMPS types" in str(frame.structure)
    assert "Properties=Z:I:1:pos:R:3" in str(frame.structure)


def test_numbers_of_elements_that_are_no_types_are_read():
    assert only("2\n\n6 0 0 0\n8 0 0 1.1\n").symbols == ["C", "O"]
    stated = "2\nProperties=Z:I:1:pos:R:3\n1 0 0 0\n1 0 0 0.74\n"
    assert only(stated).symbols == ["H", "H"]


def test_doubts_come_as_warnings():
    text = "3\n\nC 0 0 0\nC 0 0 1.53\nO 0 1.3 2\n"
    (frame,) = parse(text)
    assert [warning.code for warning in frame.warnings] == ["hydrogens_missing"]
    assert parse(text.replace("3\n\n", f'3\nLattice="{LATTICE}"\n'))[0].warnings == ()


def test_every_element_is_known():
    n = len(chemical_symbols) - 1
    structure = Structure(np.arange(1, 119)[:n], np.arange(3.0 * 118).reshape(-1, 3)[:n])
    assert_equal(only(format_frame(structure)), structure)


@pytest.mark.parametrize("part", ["x", "a=1 ", 'charge "', "{"])
def test_a_comment_line_that_is_too_long_costs_only_its_frame(part):
    bad, good = parse(f"1\n{part * 100_000}\nAr 0 0 0\n{ARGON}")
    assert isinstance(bad.structure, InvalidFormat)
    assert "frame 0, line 2: " in str(bad.structure)
    assert "at most 65536 are read" in str(bad.structure)
    assert isinstance(good.structure, Structure)
