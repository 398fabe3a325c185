"""A model that takes charges, exported: the charge is honoured at every door."""

import re
import subprocess
import sys

import ase.io
import numpy as np
import pytest
from ase import Atoms

from app.atoms.neighbors import build_graphs
from app.atoms.structure import Structure
from app.backends import load_backend
from app.store.store import ModelStore
from app.training.export.publish import About, export
from app.training.runs.trained import TrainedRun
from equipot import EquipotCalculator
from tests.api.server import running
from tests.contracts import evaluate
from tests.training.export.test_publish import CONFIG, STATISTICS, random_run

METHYL = Atoms("CH3", [[0, 0, 0.1], [0, 1.1, 0], [0.95, -0.55, 0], [-0.95, -0.55, 0]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store with a random model of charged molecules."""
    run = random_run(
        tmp_path_factory.mktemp("run"),
        {**CONFIG["model"], "takes_charge": True, "repulsion": "zbl", "binding": True},
    )
    statistics = STATISTICS.model_copy(
        update={
            "lone_ions": {"H": {1: 0.25}},
            "charge_energies": {1: 9.0, -1: -5.0},
            "binding_energies": {"H": -3.0, "C": -10.0},
        }
    )
    run.statistics.write_text(statistics.model_dump_json())
    store = tmp_path_factory.mktemp("store")
    export(TrainedRun(run.path), ModelStore(store), "ions", About())
    return store


@pytest.fixture(scope="module")
def backend(folder):
    return load_backend(ModelStore(folder).load("ions"), threads=1)


def structure(charge):
    return Structure(METHYL.numbers, METHYL.positions, charge=charge)


@pytest.fixture(scope="module")
def energies(backend):
    """eV, of each charge."""
    return {q: evaluate(backend, [structure(q)])[0].energy for q in (0, 1, -1)}


def test_the_card_and_the_probe_have_charges(backend):
    card = backend.card
    assert card.takes_charge
    assert card.probe.charge == 1
    assert card.lone_ions == {"H": {1: 0.25}}
    proton = Structure([1], np.zeros((1, 3)), charge=1)
    assert evaluate(backend, [proton])[0].energy == pytest.approx(0.25)


def test_charges_differ_and_do_not_mix_in_a_batch(backend, energies):
    assert len({round(energy, 3) for energy in energies.values()}) == 3
    together = backend(build_graphs([structure(q) for q in (1, -1, 0)], backend.card.cutoff))
    np.testing.assert_allclose(together.energy, [energies[q] for q in (1, -1, 0)], atol=1e-4)


def test_json_xyz_and_relaxations_honour_the_charge(folder, energies):
    settings = {"default_model": "ions"}
    atoms = {"symbols": METHYL.get_chemical_symbols(), "positions": METHYL.positions.tolist()}
    xyz = "4\ncharge={}\n" + "".join(
        f"{symbol} {x} {y} {z}\n"
        for symbol, (x, y, z) in zip(atoms["symbols"], METHYL.positions, strict=True)
    )
    with running(folder, **settings) as server:
        document = {"structures": [{**atoms, "charge": q} for q in (1, -1)]}
        answers = server.client.post("/predict", json=document).json()["results"]
        assert [a["energy"] for a in answers] == pytest.approx(
            [energies[1], energies[-1]], abs=1e-4
        )
        text = server.client.post(
            "/predict", content=xyz.format(-1), headers={"Content-Type": "chemical/x-xyz"}
        ).text
        written = float(re.search(r" energy=(\S+)", text)[1])
        assert written == pytest.approx(energies[-1], abs=1e-4)
        document = {"structures": [{**atoms, "charge": 1}], "relax": {"steps": 3}}
        (relaxed,) = server.client.post("/predict", json=document).json()["results"]
        final = {**atoms, "positions": relaxed["relaxed"]["positions"], "charge": 1}
        (again,) = server.client.post("/predict", json={"structures": [final]}).json()["results"]
        assert relaxed["relaxed"]["energy"] == pytest.approx(again["energy"], abs=1e-4)
        (odd,) = server.client.post("/predict", json={"structures": [atoms]}).json()["results"]
        assert odd["error"]["code"] == "unsupported_charge"


def test_the_calculator_sees_that_the_charge_has_changed(backend, energies):
    atoms = METHYL.copy()
    atoms.calc = EquipotCalculator(backend)
    for charge in (1, -1):
        atoms.info["charge"] = charge
        assert atoms.get_potential_energy() == pytest.approx(energies[charge], abs=1e-4)


def test_the_command_line_reads_it_from_a_molfile(folder, energies, tmp_path):
    bonds = "".join(f"  1  {i}  1  0\n" for i in (2, 3, 4))
    lines = "".join(
        f"{x:10.4f}{y:10.4f}{z:10.4f} {symbol:<3} 0  0  0  0  0  0\n"
        for symbol, (x, y, z) in zip(METHYL.get_chemical_symbols(), METHYL.positions, strict=True)
    )
    counts = "  4  3  0  0  0  0  0  0  0  0999 V2000\n"
    block = f"methyl\n\n\n{counts}{lines}{bonds}M  CHG  1   1   1\nM  END\n$$$$\n"
    (tmp_path / "methyl.sdf").write_text(block)
    command = [sys.executable, "-m", "app.cli.main", "predict", str(tmp_path / "methyl.sdf")]
    output = tmp_path / "out.xyz"
    command += ["--model", "ions", "--model-store", str(folder), "--output", str(output)]
    subprocess.run(command, check=True, capture_output=True)
    found = ase.io.read(output)
    assert found.info["charge"] == 1
    assert found.get_potential_energy() == pytest.approx(energies[1], abs=1e-4)
