"""The recipe's own logic: which molecules, which geometries, which split."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from ase.io import read, write

from app.labelling.isolation import isolated
from tests.recipes.recipe_modules import ORGANIC_XTB, recipe_modules

pytest.importorskip("rdkit")
pytest.importorskip("tblite")
pytest.importorskip("dimorphite_dl")


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    yield from recipe_modules(monkeypatch, "organic-xtb", [*ORGANIC_XTB, "make"])


def described(recipe, smiles: str, source: str = "chemicals", **more):
    made = recipe["molecules"].described(recipe["identity"].parse(smiles), source)
    return recipe["assignment"].replace(made, **more)


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("OC(=O)c1ccccc1OC(C)=O", "CC(=O)Oc1ccccc1C(=O)O"),
        ("C[C@H](N)C(=O)O", "CC(N)C(=O)O"),
        ("CC(=O)[O-]", "CC(=O)[O-]"),
        ("FS(F)(F)(F)(F)F", "FS(F)(F)(F)(F)F"),
        ("F", "[H]F"),
        ("[Cl-]", None),
        ("[CH3]", None),
        ("O.O", None),
        ("[2H]O", None),
        ("CB(O)O", None),
        ("C" * 33, None),
        ("[NH3+]CC[NH2+]CC[NH3+]", None),
        ("C1CC", None),
    ],
)
def test_molecules_are_closed_shells_of_ten_elements(recipe, smiles, expected) -> None:
    chemical = recipe["identity"].parse(smiles)
    assert (chemical and recipe["identity"].name_of(chemical)) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Oc1ccccn1", "O=c1cccc[nH]1"),
        ("NCC(=O)O", "[NH3+]CC(=O)[O-]"),
        ("CC(=O)CC(C)=O", "CC(O)=CC(C)=O"),
        ("OP(=O)(O)OC", "[O-]P(=O)([O-])OC"),
    ],
)
def test_tautomers_and_protonation_states_are_one_molecule(recipe, one, other) -> None:
    first, second = described(recipe, one), described(recipe, other)
    assert first.skeleton == second.skeleton
    assert first.scaffold == second.scaffold


@pytest.mark.parametrize(
    ("smiles", "alike"),
    [
        ("CCc1ccc2ccccc2c1", "c1ccc2ccccc2c1"),
        ("O=c1ccc2ccccc2o1", "c1ccc2c(c1)CCCO2"),
        ("c1ccccc1", ""),
        ("CCO", ""),
        ("CC1CC(C)C1CCO", ""),
    ],
)
def test_a_scaffold_has_two_rings_at_least(recipe, smiles, alike) -> None:
    expected = described(recipe, alike).scaffold if alike else ""
    assert described(recipe, smiles).scaffold == expected


def test_what_is_excluded_is_excluded_in_every_form(recipe, tmp_path: Path) -> None:
    from rdkit import Chem

    with Chem.SDWriter(str(tmp_path / "out.sdf")) as writer:
        for smiles in ("CC(=O)[O-].[NH3+]CCS", "CCc1ccc2ccccc2c1"):
            writer.write(Chem.AddHs(Chem.MolFromSmiles(smiles)))
    excluded = recipe["exclusion"].Exclusion.of_file(tmp_path / "out.sdf")
    for smiles in ("CC(O)=O", "NCCS", "[NH3+]CC[S-]", "Oc1cccc2ccccc12"):
        made = described(recipe, smiles)
        assert excluded.has(made.skeleton, made.scaffold), smiles
    for smiles in ("CCC(=O)O", "NCCO", "Oc1ccccc1", "c1ccc2ncccc2c1"):
        made = described(recipe, smiles)
        assert not excluded.has(made.skeleton, made.scaffold), smiles


def test_a_file_to_exclude_that_is_missing_ends_the_command(recipe, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no such file; write --exclude none"):
        recipe["exclusion"].Exclusion.of_file(tmp_path / "no.sdf")


def test_what_is_written_down_is_sound(recipe) -> None:
    """Every molecule, ion, zwitterion and partner can be taken, and the SMARTS find their groups."""
    small, molecules = recipe["small"], recipe["molecules"]
    for source, texts in zip(
        molecules.HANDWRITTEN, (small.MOLECULES, small.IONS, small.ZWITTERIONS), strict=True
    ):
        assert len(molecules._molecules(source, texts)) > len(texts) - 10
    charges = [recipe["assignment"].charge_of(text) for text in small.PARTNERS]
    assert set(charges) == {-1, 0, 1}
    assert all(pattern is not None for pattern in recipe["groups"].patterns().values())
    assert {"nitro", "sulfonamide", "azide"} <= {
        group
        for smiles in ("C[N+](=O)[O-]", "CS(N)(=O)=O", "CN=[N+]=[N-]")
        for group in described(recipe, smiles).groups
    }


def test_peptides_and_macrocycles_can_be_read_and_are_the_same_every_time(recipe) -> None:
    built, parse = recipe["built"], recipe["identity"].parse
    for make in (built.peptides, built.macrocycles):
        texts = list(make())
        assert texts == list(make())
        assert sum(parse(text) is not None for text in texts) > 0.95 * len(texts)


def test_states_of_a_molecule(recipe) -> None:
    states = recipe["states"]
    assert states.at_ph_7("CCCC(=O)O") == ["CCCC(=O)[O-]"]
    assert states.at_ph_7("CCCCN") == ["CCCC[NH3+]"]
    assert states.at_ph_7("CC[N+](=O)[O-]") == []
    assert "O=c1cccc[nH]1" in states.tautomers("Oc1ccccn1")
    assert states.substituted("Brc1ccccc1", "azide") == "[N-]=[N+]=Nc1ccccc1"
    assert states.substituted("c1ccccc1", "azide") is None


def test_splits_keep_scaffolds_and_states_together(recipe) -> None:
    split_of = recipe["assignment"].split_of
    aspirin = described(recipe, recipe["molecules"].ASPIRIN)
    assert split_of(aspirin.skeleton, aspirin.scaffold) == "test"
    ethanol = described(recipe, "CCO")
    assert split_of(ethanol.skeleton, ethanol.scaffold) == "train"
    one, other = described(recipe, "Cc1ccc2[nH]ccc2c1"), described(recipe, "NCCc1c[nH]c2ccccc12")
    assert split_of(one.skeleton, one.scaffold) == split_of(other.skeleton, other.scaffold)
    names = [split_of("C" * length, "") for length in range(6, 2000)]
    assert 0.02 < names.count("validation") / len(names) < 0.04
    assert 0.04 < names.count("test") / len(names) < 0.06


def test_partners_are_of_the_same_split_or_common_and_charges_stay_small(recipe) -> None:
    chain = ["C" * n + end for n in range(6, 20) for end in ("C(=O)[O-]", "[NH3+]", "O", "F")]
    molecules = [described(recipe, smiles) for smiles in chain]
    assigned = recipe["assignment"].assigned(molecules, recipe["exclusion"].Exclusion())
    split = {m.smiles: m.split for m in assigned}
    charge = recipe["assignment"].charge_of
    for m in assigned:
        assert abs(m.charge + charge(m.partner)) <= 2
        assert split.get(m.partner, m.split) == m.split


@pytest.mark.parametrize(("name", "count"), [("H2O", 3), ("CO2", 4), ("H2", 1), ("C2H6", 18)])
def test_vibrations_are_orthonormal_and_leave_translations_and_rotations_out(
    recipe, name, count
) -> None:
    atoms = molecule(name)
    atoms.rotate(40, (1, 2, 3))
    roots = np.repeat(np.sqrt(atoms.get_masses()), 3)
    basis = recipe["force_field"].vibrations(atoms.positions, roots)
    np.testing.assert_allclose(basis.T @ basis, np.eye(count), atol=1e-12)
    momenta = atoms.get_masses()[:, None] * (basis.T / roots).reshape(count, -1, 3)
    np.testing.assert_allclose(momenta.sum(axis=1), 0, atol=1e-10)
    spin = np.cross(atoms.positions - atoms.get_center_of_mass(), momenta).sum(axis=1)
    np.testing.assert_allclose(spin, 0, atol=1e-10)


@pytest.mark.parametrize(
    ("smiles", "lowest", "highest"),
    [("O", 1500, 3900), ("c1ccccc1", 200, 3200), ("FS(F)(F)(F)(F)F", 100, 1200)],
)
def test_frequencies_are_those_of_molecules(recipe, smiles, lowest, highest) -> None:
    """In 1/cm, by MMFF94 or, for SF6, by springs."""
    made = recipe["force_field"]
    field = made.ForceField(made.embed(smiles, 1))
    modes = field.modes(field.minimise(0))
    wave_numbers = np.sqrt(modes.stiffness) * units.second / (2 * np.pi * 100 * units._c)
    assert lowest < wave_numbers.min() < wave_numbers.max() < highest


def test_harmonic_samples_have_the_energy_of_their_temperature(recipe) -> None:
    """Half a kT for every mode on average."""
    made = recipe["force_field"]
    field = made.ForceField(made.embed("C", 1))
    modes, rng = field.modes(field.minimise(0)), np.random.default_rng(1)
    roots = np.sqrt(Atoms(field.numbers).get_masses())[:, None]
    energies = []
    for _ in range(400):
        moved = roots * (modes.draw(300.0, rng, field.bonds) - modes.minimum)
        amplitudes = (roots**2 * modes.shifts * (moved / roots)).sum(axis=(1, 2))
        energies.append(0.5 * (modes.stiffness * amplitudes**2).sum())
    assert np.mean(energies) == pytest.approx(0.5 * 9 * units.kB * 300, rel=0.05)


def test_stretching_moves_rigid_halves(recipe) -> None:
    made, distortions = recipe["force_field"], recipe["distortions"]
    field = made.ForceField(made.embed("CCO", 1))
    positions = field.minimise(0)
    cuts = distortions.cuts(field.chemical)
    assert len(cuts) == 8
    rng = np.random.default_rng(0)
    for pressed, (low, high) in ((True, (0.6, 0.92)), (False, (1.1, 2.6))):
        moved = distortions.stretched(cuts, positions, rng, pressed)
        distances = [np.linalg.norm(x[:, None] - x, axis=2) for x in (positions, moved)]
        ratios = (distances[1] / np.where(distances[0] > 0, distances[0], 1))[field.bonds.bonded]
        assert sorted(np.isclose(ratios, 1)) == [False] * 2 + [True] * 14
        assert low <= ratios[~np.isclose(ratios, 1)][0] <= high


def test_pieces_are_closed_shells(recipe) -> None:
    made, distortions = recipe["force_field"], recipe["distortions"]
    field = made.ForceField(made.embed("CCOCC[NH3+]", 1))
    positions, cuts = field.minimise(0), distortions.cuts(field.chemical)
    rng = np.random.default_rng(0)
    pieces = [distortions.piece(field.chemical, cuts, positions, rng) for _ in range(40)]
    assert {part.charge for part in pieces} == {-1, 0, 1, 2}
    assert all((sum(part.numbers) - part.charge) % 2 == 0 for part in pieces)
    assert all(part.positions.shape == (len(part.numbers), 3) for part in pieces)


def test_pieces_are_neither_excluded_nor_of_another_split(recipe) -> None:
    may_be_in, exclusion = recipe["assignment"].may_be_in, recipe["exclusion"].Exclusion
    naphthalene, toluene = described(recipe, "c1ccc2ccccc2c1"), described(recipe, "Cc1ccccc1")
    assert not may_be_in("train", naphthalene.skeleton, naphthalene.scaffold, exclusion())
    held_out = recipe["assignment"].split_of(toluene.skeleton, "")
    assert may_be_in(held_out, toluene.skeleton, "", exclusion())
    excluded = exclusion(frozenset({toluene.skeleton}))
    assert not may_be_in(held_out, toluene.skeleton, "", excluded)
    aspirin = described(recipe, recipe["molecules"].ASPIRIN)
    assert not may_be_in("train", aspirin.skeleton, "", exclusion())
    assert may_be_in("test", aspirin.skeleton, "", exclusion())


@pytest.mark.parametrize(
    ("distance", "low", "high"), [("contact", 0.6, 1.2), ("pressed", 0.4, 0.95), ("far", 0.8, 2.7)]
)
def test_partners_are_placed_where_they_belong(recipe, distance, low, high) -> None:
    from ase.data.vdw_alvarez import vdw_radii

    complexes, rng = recipe["complexes"], np.random.default_rng(3)
    body, other = complexes.Body.of("Oc1ccccc1", rng), complexes.Body.of("CC(C)c1ccncc1", rng)
    arrangements = set()
    for _ in range(25):
        arrangement, positions = complexes.placed(body, other, distance, rng)
        arrangements.add(arrangement)
        gaps = np.linalg.norm(body.positions[:, None] - positions, axis=2)
        ratio = (gaps / (vdw_radii[body.numbers][:, None] + vdw_radii[other.numbers])).min()
        assert low < ratio < high
        np.testing.assert_allclose(
            np.linalg.norm(positions[:, None] - positions, axis=2),
            np.linalg.norm(other.positions[:, None] - other.positions, axis=2),
            atol=1e-9,
        )
    assert arrangements == {"hydrogen bond", "stack", "pair"}


def test_frames_of_a_molecule_are_the_same_every_time(recipe) -> None:
    acid = described(recipe, "O=C[O-]", "ion", partner="O")
    first, second = isolated(
        partial(recipe["rounds"].sampler, recipe["exclusion"].Exclusion()), [acid, acid], 1, 60
    )
    assert first.failure is None
    assert first.value == second.value
    frames = first.value["frames"]
    assert {"conformer", "force-field minimum", "thermal", "stretched"} <= {
        frame["info"]["kind"] for frame in frames
    }
    assert any(frame["info"]["kind"].startswith("dimer") for frame in frames)
    for frame in frames:
        assert (sum(frame["numbers"]) - frame["info"]["charge"]) % 2 == 0
        assert frame["info"]["molecule"].split(".")[0] == "O=C[O-]"


def test_every_pair_of_elements_is_scanned_as_a_closed_shell(recipe) -> None:
    molecules, sampler = recipe["molecules"], recipe["geometries"].Sampler
    sampler = partial(sampler, excluded=recipe["exclusion"].Exclusion())
    pairs = list(molecules.diatomics())
    assert len(pairs) == 55
    for pair in pairs:
        frames = sampler(pair).frames()
        lengths = [np.linalg.norm(np.diff(frame.positions, axis=0)) for frame in frames]
        assert min(lengths) == pytest.approx(0.4)
        assert max(lengths) == pytest.approx(3.0)
    charges = {m.smiles: {f.charge for f in sampler(m).frames()} for m in molecules.atoms()}
    assert charges["H atom"] == {-1}
    assert charges["C atom"] == {0}
    assert charges["Cl atom"] == {-1, 1}


def test_an_odd_number_of_electrons_cannot_pass(recipe) -> None:
    with pytest.raises(ValueError, match="odd number of electrons"):
        recipe["geometries"].Frame("thermal", [6, 1, 1, 1], np.zeros((4, 3)), 0)


def test_a_molecule_without_conformer_is_skipped(recipe) -> None:
    with pytest.raises(recipe["force_field"].Skipped, match="no conformer"):
        recipe["force_field"].embed("C1#CC#C1", 1)


def test_journal_loses_at_most_a_half_written_molecule(recipe, tmp_path) -> None:
    whole = {"molecule": "O", "frames": [], "failures": []}
    path = tmp_path / "samples.jsonl"
    path.write_text(json.dumps(whole) + '\n{"molecule": "C", "sou')
    assert recipe["rounds"].read_journal(path) == {"O": whole}
    assert path.read_text() == json.dumps(whole) + "\n"


def test_a_round_goes_on_where_it_stopped(recipe, tmp_path) -> None:
    rounds, none = recipe["rounds"], recipe["exclusion"].Exclusion()
    molecules = [described(recipe, smiles, "tiny") for smiles in ("[H][H]", "[H]F", "O")]
    rounds.run_round(tmp_path / "whole", molecules, none, 1)
    whole = read(tmp_path / "whole" / "labelled.xyz", index=":")
    assert {atoms.info["molecule"] for atoms in whole} == {"[H][H]", "[H]F", "O"}
    # the geometries are there, and half of the labels, as after a kill
    stopped = tmp_path / "stopped"
    stopped.mkdir()
    (stopped / "geometries.xyz").write_bytes((tmp_path / "whole" / "geometries.xyz").read_bytes())
    for name in ("labelled.xyz", "labelled.xyz.run.json"):
        text = (tmp_path / "whole" / name).read_bytes()
        (stopped / name).write_bytes(text[: len(text) // 2] if name == "labelled.xyz" else text)
    rounds.run_round(stopped, molecules, none, 1)
    assert (stopped / "labelled.xyz").read_bytes() == (
        tmp_path / "whole" / "labelled.xyz"
    ).read_bytes()
    rounds.run_round(stopped, [], none, 1)  # done: nothing is touched


def labelled(split: str, smiles: str, force: float) -> Atoms:
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms = Atoms("HF", [[0, 0, 0], [0, 0, 1]])
    atoms.info = {"molecule": smiles, "source": "nci", "kind": "thermal", "charge": 0}
    atoms.info["split"] = split
    forces = np.array([[0, 0, force], [0, 0, -force]])
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0, forces=forces)
    return atoms


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [([], ["000", "001", "002"]), (["1:"], ["001", "002"]), (["0:1", "2:3"], ["000", "002"])],
)
def test_machines_can_share_the_rounds(recipe, monkeypatch, tmp_path, rounds, expected) -> None:
    make, done = recipe["make"], []
    molecules = [described(recipe, smiles) for smiles in ("CO", "CCO", "CCCO")]
    monkeypatch.setattr(make, "ROUND", 1)
    monkeypatch.setattr(make, "choose", lambda excluded, share: molecules)
    monkeypatch.setattr(make, "run_round", lambda folder, *rest: done.append((folder.name, *rest)))
    command = ["make.py", "--output", str(tmp_path), "--exclude", "none", "--processes", "1"]
    for part in rounds or [":"]:
        monkeypatch.setattr("sys.argv", [*command, "--rounds", part])
        make.main()
    assert [name for name, *_ in done] == expected
    assert {molecule.smiles for _, (molecule,), *_ in done} <= {"CO", "CCO", "CCCO"}


def test_rounds_that_are_none_are_refused(recipe, monkeypatch, tmp_path, capsys) -> None:
    command = ["make.py", "--output", str(tmp_path), "--exclude", "none", "--rounds", "3"]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit):
        recipe["make"].main()
    assert "'3' is not FROM:TO, such as 8:16" in capsys.readouterr().err


def test_split_takes_what_is_there_and_says_what_it_drops(recipe, tmp_path) -> None:
    for folder in ("rounds/000", "rounds/001", "active/01"):
        (tmp_path / folder).mkdir(parents=True)
    frames = [labelled("train", "C", 1.0), labelled("test", "CC", 2.0), labelled("train", "C", 101)]
    write(tmp_path / "rounds/000/labelled.xyz", frames)
    write(tmp_path / "active/01/labelled.xyz", [labelled("train", "CO", 3.0)])
    text = (tmp_path / "rounds/000/labelled.xyz").read_bytes()
    (tmp_path / "rounds/001/labelled.xyz").write_bytes(text[: len(text) // 2])  # being written
    summary = recipe["split"].split(tmp_path, tmp_path / "out")
    assert summary["dropped frames"] == 1
    assert summary == json.loads((tmp_path / "out" / "splits.json").read_text())
    train = read(tmp_path / "out" / "train.xyz", index=":")
    assert [atoms.info["molecule"] for atoms in train] == ["C", "C", "CO"]
    assert summary["train"]["frames"] == len(train)
    assert summary["train"]["kinds"] == {"thermal": len(train)}
    assert summary["test"]["charges"] == {"0": 1}
    assert summary["test"]["sizes"] == {"2-5": 1}
    assert summary["test"]["force max"] == 2.0
    (dropped,) = map(json.loads, (tmp_path / "out" / "dropped.jsonl").read_text().splitlines())
    assert dropped["largest force"] == 101.0
    assert recipe["split"].split(tmp_path, tmp_path / "calm", 1.5)["dropped frames"] == 3


def test_selection_prefers_uncertain_frames_and_thins_duplicates(recipe) -> None:
    def frame(name: str, uncertainty: float, length: float) -> dict[str, object]:
        positions = [[0, 0, 0], [0, 0, length]]
        info = {"molecule": name}
        return {"numbers": [1, 9], "positions": positions, "info": info, "uncertainty": uncertainty}

    frames = [
        frame("a", 0.1, 1.0),
        frame("a", 0.9, 2.0),
        frame("a", 0.8, 2.1),
        frame("b", 0.5, 2.0),
    ]
    chosen = recipe["selection"].select(frames, 10)
    assert [f["uncertainty"] for f in chosen] == [0.9, 0.5, 0.1]
    assert [f["uncertainty"] for f in recipe["selection"].select(frames, 2)] == [0.9, 0.5]
    assert [f["uncertainty"] for f in recipe["selection"].select(frames, 9, 0.4)] == [0.9, 0.5]
    turned = {"numbers": [9, 1], "positions": [[2.0, 0, 0], [0, 0, 0]]}
    np.testing.assert_allclose(
        recipe["selection"].sorted_distances(turned),
        recipe["selection"].sorted_distances(frames[1]),
    )
