"""What is written reads back, by us, by RDKit and by ASE."""

import io
from typing import Any

import ase.io
import numpy as np
import pytest

from app.atoms.structure import Structure
from app.formats.record import Record
from app.formats.sdf import SdfWriter, parse
from app.formats.sdf.writer import misfit
from app.formats.topology import Bond, Topology

GLYCINATE = """glycinate
  made up           3D

  9  8  0  0  0  0  0  0  0  0999 V2000
    0.0421   -0.1123    0.0034 C   0  0  0  0  0  0  0  0  0  0  0  0
    1.5412    0.0853    0.0312 C   0  0  0  0  0  0  0  0  0  0  0  0
    2.1120    1.1730   -0.0810 O   0  0  0  0  0  0  0  0  0  0  0  0
    2.2210   -1.0130    0.1720 O   0  5  0  0  0  0  0  0  0  0  0  0
   -0.6123    1.1912   -0.1312 N   0  0  0  0  0  0  0  0  0  0  0  0
   -0.2533   -0.6012    0.9320 H   0  0  0  0  0  0  0  0  0  0  0  0
   -0.2241   -0.7634   -0.8324 H   2  0  0  0  0  0  0  0  0  0  0  0
   -0.3233    1.8312    0.6012 H   0  0  0  0  0  0  0  0  0  0  0  0
   -1.6212    1.1032   -0.1002 H   0  0  0  0  0  0  0  0  0  0  0  0
  1  2  1  0
  2  3  2  0
  2  4  1  0
  1  5  1  1
  1  6  1  0
  1  7  1  6
  5  8  1  0
  5  9  1  0
M  CHG  1   4  -1
M  ISO  1   7   2
M  END
> <source>
a bench
on two lines

> <energy>
12.5

> <PUBCHEM_TOTAL_CHARGE>
-1

$$$$
"""


def record_of(frame: Any, **more: Any) -> Record:
    return Record(frame.structure, frame.id, remarks=frame.info, topology=frame.topology, **more)


def written(record: Record) -> str:
    writer = SdfWriter()
    return (writer.begin() + writer.add(record) + writer.end()).decode()


def test_bonds_names_charges_isotopes_and_fields_are_kept() -> None:
    (frame,) = parse(GLYCINATE)
    text = written(record_of(frame, values={"energy": -3.25}, answer={"converged": True}))
    (again,) = parse(text)
    assert again.id == "glycinate"
    assert again.topology == frame.topology
    assert (again.structure.charge, again.structure.symbols) == (-1, frame.structure.symbols)
    np.testing.assert_array_equal(again.structure.positions, frame.structure.positions)
    assert again.info["source"] == "a bench\non two lines"
    assert again.info["energy"] == "-3.25"
    assert again.info["converged"] == "true"
    assert [warning.code for warning in again.warnings] == ["isotope_ignored"]


def test_rdkit_reads_it_alike() -> None:
    chem = pytest.importorskip("rdkit.Chem", reason="RDKit is not installed")
    (frame,) = parse(GLYCINATE)
    supplier = chem.SDMolSupplier()
    supplier.SetData(written(record_of(frame, values={"energy": -3.25})), removeHs=False)
    molecule = supplier[0]
    assert molecule.GetProp("_Name") == "glycinate"
    assert molecule.GetPropsAsDict()["energy"] == -3.25
    assert molecule.GetProp("source") == "a bench\non two lines"
    assert chem.GetFormalCharge(molecule) == -1
    assert molecule.GetAtomWithIdx(6).GetIsotope() == 2
    assert molecule.GetBondBetweenAtoms(1, 2).GetBondType() == chem.BondType.DOUBLE
    positions = molecule.GetConformer().GetPositions()
    np.testing.assert_allclose(positions, frame.structure.positions, atol=1e-9)
    plain = chem.RemoveHs(molecule)
    plain.GetAtomWithIdx(0).SetIsotope(0)
    assert "C(=O)[O-]" in chem.MolToSmiles(plain)


def test_ase_reads_it_alike() -> None:
    (frame,) = parse(GLYCINATE)
    atoms = ase.io.read(io.StringIO(written(record_of(frame))), format="sdf")
    assert atoms.get_chemical_symbols() == frame.structure.symbols
    np.testing.assert_allclose(atoms.positions, frame.structure.positions, atol=1e-9)


def test_what_is_too_large_for_v2000_is_v3000_to_the_last_bit() -> None:
    chem = pytest.importorskip("rdkit.Chem", reason="RDKit is not installed")
    rng = np.random.default_rng(0)
    positions = rng.uniform(0, 60, (1000, 3))
    topology = Topology((Bond(1, 0, 1, 6), Bond(2, 998, 999)), {5: -1}, {}, {7: 2})
    numbers = np.where(np.arange(1000) == 7, 1, 6)
    text = written(Record(Structure(numbers, positions, charge=-1), "big", topology=topology))
    assert "V3000" in text
    (again,) = parse(text)
    np.testing.assert_array_equal(again.structure.positions, positions)
    assert again.topology == topology
    molecule = chem.MolFromMolBlock(text, sanitize=False, removeHs=False)
    assert molecule.GetNumAtoms() == 1000
    assert molecule.GetAtomWithIdx(5).GetFormalCharge() == -1


def test_a_charge_without_a_place_has_a_field() -> None:
    ion = Structure(
        np.array([8, 1]), np.array([[0, 0, 0], [0, 0, 0.97]]), charge=-1, multiplicity=1
    )
    text = written(Record(ion, "ion"))
    (again,) = parse(text)
    assert (again.structure.charge, again.structure.multiplicity) == (-1, 1)
    assert again.topology.bonds == ()


def test_radicals_are_kept() -> None:
    methyl = GLYCINATE.replace("M  ISO  1   7   2", "M  RAD  1   1   2")
    (frame,) = parse(methyl)
    (again,) = parse(written(record_of(frame)))
    assert again.structure.multiplicity == frame.structure.multiplicity == 2


def test_a_failure_keeps_its_place() -> None:
    failed = {"status": "error", "code": "invalid_format", "message": "torn\n\n$$$$ here"}
    text = written(Record(None, "x", answer=failed)) + written(Record(None, answer=failed))
    first, second = parse(text)
    assert (first.id, second.id) == ("x", None)
    chem = pytest.importorskip("rdkit.Chem", reason="RDKit is not installed")
    supplier = chem.SDMolSupplier()
    supplier.SetData(text)
    assert [molecule.GetProp("code") for molecule in supplier] == ["invalid_format"] * 2


def test_titles_and_names_cannot_break_out() -> None:
    remarks = {"a>\n$$$$\n<b": ">  <energy>\n7\n\n$$$$"}
    structure = Structure(np.array([18]), np.zeros((1, 3)))
    (again,) = parse(written(Record(structure, "one\ntwo\n$$$$", remarks=remarks)))
    assert again.id == "one two $$$$"
    assert "energy" not in again.info


def test_crystals_are_no_molecules() -> None:
    crystal = Structure(np.array([18]), np.zeros((1, 3)), 5.0 * np.eye(3), np.array(True))
    assert "ask for xyz" in (misfit(crystal) or "")
    assert misfit(Structure(np.array([18]), np.zeros((1, 3)))) is None


def test_no_title_ends_a_record() -> None:
    methane = Structure(np.array([6]), np.zeros((1, 3)))
    text = written(Record(methane, "$$$$")) + written(Record(methane, "next"))
    assert [frame.id for frame in parse(text)] == ["$$$$", "next"]
