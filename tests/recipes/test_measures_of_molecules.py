"""What measures organic models: the parts that need RDKit, and GFN2-xTB."""

import importlib
import json
import sys

import numpy as np
import pytest

pytest.importorskip("rdkit")
pytest.importorskip("tblite")

from rdkit import Chem
from scipy.spatial.transform import Rotation

from recipes.measures import all as everything
from recipes.measures import conformers, mini_drug_bank, references, torsions
from recipes.measures.embedding import embedded
from recipes.measures.molecules import Molecule, complete_charges, group_of, read_molecules
from recipes.measures.outside import made, suitable
from recipes.measures.short_range import agrees, distorted, pairs
from tests.paths import MODEL_STORE


def molecule_of(smiles: str, name: str = "one") -> Molecule:
    return Molecule(name, embedded(smiles), 0)


@pytest.fixture
def sdf(tmp_path):
    """Methanol, formate without its charge, and chloromethane."""
    path = tmp_path / "molecules.sdf"
    with Chem.SDWriter(str(path)) as writer:
        for name, smiles in (("methanol", "CO"), ("formate", "[O-]C=O"), ("chloride", "CCl")):
            chemical = embedded(smiles)
            chemical.SetProp("_Name", name)
            writer.write(chemical)
    text = path.read_text().replace("M  CHG  1   1  -1\n", "")
    path.write_text(text)
    return path


def test_charges_that_a_file_leaves_out_follow_from_the_bonds(sdf):
    methanol, formate, chloride = read_molecules(sdf)
    assert (formate.stated, formate.charge) == (0, -1)
    assert [group_of(m) for m in (methanol, formate, chloride)] == [
        "H C N O",
        "charged",
        "with F P S Cl",
    ]
    nitro = Chem.MolFromSmiles("CN(=O)O", sanitize=False)
    complete_charges(nitro)
    assert [atom.GetFormalCharge() for atom in nitro.GetAtoms()][1:] == [1, 0, -1]


def test_molecules_are_measured_from_references_to_table(sdf, tmp_path, monkeypatch, capsys):
    common = ["--molecules", str(sdf), "--cache", str(tmp_path / "cache")]
    monkeypatch.setattr(sys, "argv", ["references", *common, "--kinds", "minima"])
    references.main()
    assert "3 records, 0 failed; 3 new" in capsys.readouterr().out
    references.main()
    assert "3 records, 0 failed; 0 new" in capsys.readouterr().out
    options = ["--model", "organic-xtb", "--model-store", str(MODEL_STORE)]
    output = ["--output", str(tmp_path / "results")]
    monkeypatch.setattr(sys, "argv", ["mini_drug_bank", *common, *options, *output])
    mini_drug_bank.main()
    text = capsys.readouterr().out
    assert "| molecules | 3 |" in text
    assert "| answered as the file states them | 2 |" in text
    assert "| answered with charges completed | 3 |" in text
    values = json.loads((tmp_path / "results" / "mini_drug_bank.json").read_text())["values"]
    (methanol,) = (found for found in values["molecules"] if found["name"] == "methanol")
    assert methanol["converged"]
    assert methanol["rmsd"] < 0.1
    assert abs(methanol["energy_error"]) < 50


def test_the_distance_of_two_geometries_knows_symmetry():
    molecule = molecule_of("FC(F)(F)C=O")
    positions = molecule.positions
    fluorines = np.flatnonzero(np.array(molecule.numbers) == 9)
    turned = positions.copy()
    turned[fluorines] = positions[np.roll(fluorines, 1)]
    turned = turned @ Rotation.random(rng=np.random.default_rng(0)).as_matrix()
    assert mini_drug_bank.rmsd(molecule, positions, turned) == pytest.approx(0, abs=0.2)
    assert mini_drug_bank.rmsd(molecule, positions, 1.2 * positions) > 0.1


def test_a_torsion_turns_one_side_of_a_bond_and_comes_back():
    (torsion,) = torsions.choose([molecule_of("CCOC")])
    start = torsion.molecule.positions
    geometries = torsion.geometries(start)
    assert len(geometries) == 24
    np.testing.assert_allclose(geometries[0], start, atol=1e-6)
    i, j = torsion.atoms[1:3]
    lengths = [np.linalg.norm(p[i] - p[j]) for p in geometries]
    np.testing.assert_allclose(lengths, lengths[0], atol=1e-6)
    assert max(np.abs(p - start).max() for p in geometries) > 0.5


def test_profiles_are_compared_where_they_are_low_and_up_to_a_shift():
    low = torsions.low_ones([0.0, 0.2, 3.0, None, 0.1])
    assert low == [0.0, 0.2, None, None, 0.1]
    expected = np.array([energy for energy in low if energy is not None])
    found = torsions.deviation(expected + 7, expected)
    assert found["points"] == 3
    assert found["rmse"] == pytest.approx(0, abs=1e-9)
    assert found["height"] == pytest.approx(200)


def test_rankings_of_conformers():
    reference = np.array([0.0, 0.1, 0.2, 0.3])
    assert conformers.ranking(reference + 5, reference) == {
        "spearman": pytest.approx(1.0),
        "mae": pytest.approx(0.0),
        "lowest_found": True,
    }
    upside_down = conformers.ranking(-reference, reference)
    assert upside_down["spearman"] == pytest.approx(-1.0)
    assert not upside_down["lowest_found"]


def test_pairs_have_closed_shells_and_distances_agree_when_both_fell_apart():
    found = list(pairs(["H", "O"]))
    assert {(tuple(s.numbers.tolist()), s.charge) for s in found} == {
        ((1, 1), 0),
        ((1, 8), 1),
        ((1, 8), -1),
        ((8, 8), 0),
    }
    assert agrees(4.0, 9.0)
    assert not agrees(1.0, 1.2)


def test_each_kind_of_bond_is_pressed_and_stretched_once():
    found = list(distorted("CO"))
    assert len({each.name for each in found}) == 3  # C–O, C–H, O–H
    for each in found:
        i, j = map(int, each.name.split()[1].split("-"))
        lengths = [np.linalg.norm(p[i] - p[j]) for p in (each.positions, each.minimum.positions)]
        assert lengths[0] / lengths[1] == pytest.approx(each.factor)


def test_structures_outside_are_sound_ones_gone_wrong():
    molecule = molecule_of("CC(C)CO")
    assert suitable(molecule)
    assert not suitable(molecule_of("O"))
    kinds = dict(made([molecule], 1))
    assert len(kinds["no hydrogens"]) == 5
    assert kinds["packed into a crystal"].is_bulk
    ratio = np.ptp(kinds["bohr taken for Å"].positions) / np.ptp(molecule.positions)
    assert ratio == pytest.approx(1 / 0.529177, rel=1e-4)


@pytest.mark.parametrize("size", [[], ["--full"]], ids=["short", "full"])
def test_all_measurements_are_given_options_that_they_have(tmp_path, monkeypatch, size):
    paths = [f"--{name}" for name in ("molecules", "databases", "held-out", "cache", "output")]
    given = [word for name in paths for word in (name, str(tmp_path))]
    monkeypatch.setattr(sys, "argv", ["all", *given, "--model", "organic-xtb", *size])
    options = everything._options()
    for name in options.only:
        module = importlib.import_module(f"recipes.measures.{name}")
        for folder, arguments in everything.commands(name, options):
            monkeypatch.setattr(sys, "argv", [name, *arguments, "--output", str(folder)])
            assert module._options().model == "organic-xtb"
