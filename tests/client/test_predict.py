"""`Client.predict` and `Client.relax` against a real server."""

import gzip
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms

from app.formats.registry import FORMATS, of_name
from equipot import (
    AnswerWarning,
    Client,
    InvalidRequest,
    InvalidStructure,
    Smiles,
    UnknownModel,
    UnsupportedCharge,
    UnsupportedElement,
)
from equipot.files import SUFFIXES, format_of
from equipot.structures import items_of


def argon(distance: float = 3.9) -> Atoms:
    return Atoms("Ar2", [[0, 0, 0], [0, 0, distance]])


def test_a_molecule_and_a_crystal(client: Client) -> None:
    crystal = bulk("Ar", a=5.2)
    molecule, solid = client.predict([argon(), crystal])
    assert molecule.energy == pytest.approx(
        4 * 0.01 * ((3.4 / 3.9) ** 12 - (3.4 / 3.9) ** 6), abs=1e-3
    )
    np.testing.assert_allclose(molecule.forces.sum(axis=0), 0, atol=1e-12)
    assert molecule.stress is None
    assert solid.stress.shape == (3, 3)
    assert solid.model[:2] == ("pairs", 2)
    assert solid.atoms.get_potential_energy() == solid.energy
    np.testing.assert_array_equal(solid.atoms.cell, crystal.cell)
    assert (molecule.index, solid.index) == (0, 1)


def test_one_structure_that_fails_costs_the_others_nothing(client: Client) -> None:
    charged = argon()
    charged.info["charge"] = 0.5
    lost = argon()
    lost.positions[0, 0] = np.nan
    results = client.predict([argon(), Atoms("Au"), charged, lost, argon(3.8)])
    assert [result.ok for result in results] == [True, False, False, False, True]
    assert isinstance(results[1].error, UnsupportedElement)
    assert results[1].error.code == "unsupported_element"
    assert "info['charge']: 0.5 is no whole number" in str(results[2].error)
    assert isinstance(results[3].error, InvalidStructure)
    assert len(results.failed) == 3
    with pytest.raises(UnsupportedElement, match="atom 0 is Au"):
        results.raise_for_errors()
    assert len(results.ok.raise_for_errors()) == 2


def test_all_that_fail_have_their_errors(client: Client) -> None:
    (result,) = client.predict(Atoms("Au"))
    assert isinstance(result.error, UnsupportedElement)


def test_what_is_wrong_with_the_request_is_raised(client: Client) -> None:
    with pytest.raises(UnknownModel, match="nothing") as raised:
        client.predict(argon(), model="nothing")
    assert (raised.value.code, raised.value.status) == ("unknown_model", 404)
    with pytest.raises(InvalidRequest, match="relax") as wrong:
        client.relax(argon(), optimizer="newton")
    assert wrong.value.field == "relax.optimizer"


def test_what_atoms_state_is_sent(client: Client) -> None:
    charged = argon()
    charged.set_initial_charges([1, 0])
    (result,) = client.predict(charged)
    assert isinstance(result.error, UnsupportedCharge)
    odd = argon()
    odd.info["Spin"] = 3
    (result,) = client.predict(odd)
    assert "state info['charge'] and info['multiplicity'] instead" in str(result.error)


def test_forces_on_fixed_atoms_are_no_forces_that_are_left(client: Client) -> None:
    trimer = Atoms("Ar3", [[0, 0, 0], [0, 0, 3.2], [3.8, 0, 1.6]])
    trimer.set_constraint(FixAtoms([0, 1]))
    (result,) = client.relax(trimer, fmax=1e-3)
    assert np.linalg.norm(result.forces, axis=1).max() > 0.1
    assert result.fmax == result.row()["fmax"] == result.relaxation.fmax < 1e-3


def test_masses_are_not_sent_and_that_is_told() -> None:
    heavy = argon()
    heavy.set_masses([36.0, 40.0])
    with pytest.warns(UserWarning, match="masses of the atoms are not sent"):
        (item,) = items_of(heavy)
    assert "masses" not in item.fields


def test_a_relaxation_has_its_last_geometry_and_its_course(client: Client) -> None:
    start = argon(4.0)
    start.set_constraint(FixAtoms([0]))
    (result,) = client.relax(start, fmax=1e-4)
    assert result.relaxation.converged
    assert result.fmax < 1e-4
    assert result.relaxation.initial_energy > result.energy
    assert result.atoms.get_distance(0, 1) == pytest.approx(3.4 * 2 ** (1 / 6), abs=0.02)
    np.testing.assert_array_equal(result.atoms.positions[0], start.positions[0])
    (solid,) = client.relax(bulk("Ar", a=5.0), cell=True)
    assert solid.atoms.get_volume() > bulk("Ar", a=5.0).get_volume()


def test_files(client: Client, tmp_path: Path) -> None:
    frames = [argon(3.7 + i / 100) for i in range(5)]
    for name in ("some.xyz", "some.xyz.gz"):
        ase.io.write(tmp_path / name, frames, format="extxyz")
    ase.io.write(tmp_path / "POSCAR", bulk("Ar", a=5.2), format="vasp")
    ase.io.write(tmp_path / "one.cif", bulk("Ar", a=5.2))
    names = ["some.xyz", "some.xyz.gz", "POSCAR", "one.cif"]
    results = client.predict([tmp_path / name for name in names])
    assert [result.index for result in results] == [*range(10), 10, 11]
    results.raise_for_errors()
    assert results[0].energy == pytest.approx(results[5].energy)
    assert results[10].energy == pytest.approx(results[11].energy, abs=1e-6)
    assert results[11].atoms.pbc.all()
    assert results[3].atoms.get_distance(0, 1) == pytest.approx(3.73)
    (relaxed,) = client.relax({"content": "2\n\nAr 0 0 0\nAr 0 0 4\n", "format": "xyz"}, fmax=1e-4)
    assert relaxed.atoms.get_distance(0, 1) < 3.99
    assert relaxed.atoms.get_potential_energy() == relaxed.energy
    with pytest.raises(FileNotFoundError):
        client.predict("missing.xyz")


def test_smiles_and_fields(client: Client) -> None:
    water = {"symbols": ["O", "H", "H"], "positions": [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]}
    results = client.predict(["O", Smiles("CCO", conformers=2, id="ethanol"), water])
    assert [result.index for result in results] == [0, 1, 1, 2]
    assert results[1].id == "ethanol:0"
    assert len(results[2].atoms) == 9
    assert results[0].ok


def test_rdkit_and_pymatgen(client: Client) -> None:
    from pymatgen.core import Lattice, Molecule, Structure
    from rdkit import Chem
    from rdkit.Chem import AllChem

    molecule = Chem.AddHs(Chem.MolFromSmiles("CO"))
    AllChem.EmbedMultipleConfs(molecule, 2, randomSeed=1)
    solid = Structure(Lattice.cubic(5.2), ["Ar"], [[0, 0, 0]])
    dimer = Molecule(["Ar", "Ar"], [[0, 0, 0], [0, 0, 3.9]])
    flat = Chem.MolFromSmiles("CO")
    results = client.predict([molecule, solid, dimer, flat]).raise_for_errors()
    assert len(results) == 5
    assert results[2].stress is not None
    assert results[3].energy == pytest.approx(client.predict(argon())[0].energy)
    assert len(results[4].atoms) == 6
    bare = Chem.RemoveHs(molecule)
    assert "hydrogens" in str(client.predict(bare)[0].error)


def test_warnings(client: Client) -> None:
    (result,) = client.predict({"symbols": ["D", "H"], "positions": [[0, 0, 0], [0, 0, 1.1]]})
    assert isinstance(result.warnings[0], AnswerWarning)
    assert result.warnings[0].code == "isotope_ignored"


def test_a_table(client: Client) -> None:
    table = client.relax([argon(), Atoms("Au")]).to_dataframe()
    assert table["code"].isna().tolist() == [True, False]
    assert table["code"][1] == "unsupported_element"
    assert table["converged"][0]


def test_many_go_as_a_stream_and_come_in_order(client: Client) -> None:
    frames = [argon(3.5 + i / 1000) for i in range(700)]
    results = client.predict(frames, progress=True)
    assert [result.index for result in results] == list(range(700))
    direct = client.predict(frames[650])
    assert results[650].energy == pytest.approx(direct[0].energy)


def test_models(client: Client) -> None:
    assert {(each["name"], each["version"]) for each in client.models()} == {
        ("pairs", 1),
        ("pairs", 2),
    }
    assert client.model("pairs@1")["card"]["cutoff"] == 6.0
    with pytest.raises(UnknownModel):
        client.model("nothing")


def test_names_of_files_say_what_the_service_takes_them_for() -> None:
    assert dict(SUFFIXES) == {kind: known.suffixes for kind, known in FORMATS.items()}
    for name in ("POSCAR", "CONTCAR.gz", "a.XYZ", "b.sdf.xz", "POSCAR_1", "x", "CC(=O)O"):
        plain = name.removesuffix(".gz").removesuffix(".xz")
        assert format_of(Path(name)) == of_name(plain)


def test_compressed_files_are_unpacked(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "a.smi.gz"
    file.write_bytes(gzip.compress(b"O water\nCO methanol\n"))
    results = client.predict(file)
    assert [result.id for result in results] == ["water", "methanol"]


def test_what_is_no_structure_is_told_alone_and_in_a_list(client: Client) -> None:
    for given in (5, [argon(), 5]):
        with pytest.raises(
            TypeError, match="a int is no structure that can be sent; send ASE Atoms"
        ):
            client.predict(given)
