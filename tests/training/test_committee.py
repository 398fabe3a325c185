"""Committees, from training to the answer of a server: mean and uncertainty everywhere, and one
entry in the store.
"""

import io
import json
import shutil
from dataclasses import replace

import ase.io
import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file

from app.backends import load_backend
from app.cli.main import main
from app.errors import CertificateRefused, CorruptModel, InvalidConfig, TrainingError
from app.store.store import ModelStore
from app.training.committee import committee_table, run_committee
from app.training.data.load import Finder
from app.training.evaluation.errors import errors
from app.training.evaluation.predictors import open_predictor
from app.training.export.certificate import certify
from app.training.export.publish import About, export
from app.training.loop.display import Display
from app.training.run import train_model
from app.training.runs.folder import CommitteeFolder, RunFolder
from app.training.runs.trained import TrainedRun
from tests.api.server import running
from tests.contracts import ServedContract
from tests.training.labelled import crystals, molecules, tiny_config, write

SEEDS = 2
FRAMES = [*molecules(6, seed=3), *crystals(2)]
ARGON = {"symbols": ["Ar", "Ne"], "positions": [[0, 0, 0], [0, 0, 2.4]]}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write(folder / "train.xyz", [*molecules(40), *crystals(8)])
    return folder


def train(root, path, seeds=SEEDS, resume=False, display=None, **keys):
    keys = {"epochs": 2, "seed": 5, **keys}
    display = display or Display(99, io.StringIO())
    store = ModelStore(root / "store")
    return run_committee(
        tiny_config(**keys), seeds, CommitteeFolder(path), Finder(root), display, resume, store
    )


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "committee"
    train(data, path)
    return path


@pytest.fixture(scope="module")
def store(trained, tmp_path_factory):
    store = ModelStore(tmp_path_factory.mktemp("store"))
    export(TrainedRun(trained), store, "committee", About())
    return store


class TestExportedCommittee(ServedContract):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, store):
        return load_backend(store.load("committee"), threads=2)


def test_members_share_all_but_the_seed(trained):
    folders = CommitteeFolder(trained).members()
    assert [folder.path.name for folder in folders] == ["seed-5", "seed-6"]
    assert len({folder.statistics.read_text() for folder in folders}) == 1
    assert len({folder.held_out.read_text() for folder in folders}) == 1
    first, second = TrainedRun(trained).weights
    assert not torch.equal(first["embedding.centre"], second["embedding.centre"])


def test_a_member_is_the_run_with_its_seed(data, trained, tmp_path):
    train_model(
        tiny_config(epochs=2, seed=6),
        RunFolder(tmp_path / "run"),
        Finder(data),
        Display(9, io.StringIO()),
    )
    alone, member = (
        load_file(p / "weights.safetensors") for p in (tmp_path / "run", trained / "seed-6")
    )
    assert all(torch.equal(alone[name], member[name]) for name in alone)


def test_the_metrics_are_of_the_mean_and_of_each_member(trained):
    result = json.loads((trained / "metrics.json").read_text())
    members = result["members"]
    assert list(members) == ["seed-5", "seed-6"]
    assert members["seed-6"] == json.loads((trained / "seed-6" / "metrics.json").read_text())
    assert result["parameters"] == sum(member["parameters"] for member in members.values())
    worst = max(member["validation"]["forces_rmse"] for member in members.values())
    assert 0 < result["validation"]["forces_rmse"] < worst
    lines = committee_table(result).splitlines()
    assert [line.split()[:2] for line in lines[4:7]] == [
        ["validation", n] for n in (*members, "committee")
    ]
    assert f"{result['validation']['forces_mae']:.2f}" in lines[6]


def test_an_interrupted_committee_ends_as_if_it_had_not_been(data, trained, tmp_path):
    class Impatient(Display):
        member = ""

        def began(self, run):
            self.member = run

        def stepped(self, progress, losses, steps_per_epoch):
            self.interrupted = self.member == "seed-6" and progress.step == 3

    with pytest.raises(TrainingError, match="interrupted after step 3"):
        train(data, tmp_path / "run", display=Impatient(9, io.StringIO()))
    with pytest.raises(TrainingError, match=r"weights\.safetensors is missing"):
        TrainedRun(tmp_path / "run")
    train(data, tmp_path / "run", resume=True)
    for first, second in zip(
        TrainedRun(trained).weights, TrainedRun(tmp_path / "run").weights, strict=True
    ):
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_another_run_in_the_folder_is_named(data, trained, tmp_path):
    go_on = r"committee holds a committee; go on with --set seed=5 --seeds 2 --resume"
    for again in ({}, {"seeds": 3, "resume": True}, {"seed": 4, "resume": True}):
        with pytest.raises(TrainingError, match=go_on):
            train(data, trained, **again)
    with pytest.raises(TrainingError, match=go_on):
        train_model(
            tiny_config(), RunFolder(trained), Finder(data), Display(9, io.StringIO()), resume=True
        )
    shutil.copyfile(trained / "seed-5" / "config.yaml", tmp_path / "config.yaml")
    with pytest.raises(TrainingError, match="holds a single run"):
        train(data, tmp_path, resume=True)
    with pytest.raises(InvalidConfig, match="--seeds 1: a committee has at least 2 members"):
        train(data, tmp_path / "other", seeds=1)


def test_one_entry_of_the_store_holds_all_members(store):
    model = store.load("committee@1")
    assert model.card.members == SEEDS
    assert model.card.certificate.largest.forces < model.card.certificate.tolerance.forces
    assert len(model.card.metrics["members"]) == SEEDS
    assert set(model.card.files) == {
        *(
            "model.onnx",
            "model-1.onnx",
            "parity.png",
            "energies.onnx",
            "energies-1.onnx",
            "config.yaml",
            "statistics.json",
            "metrics.json",
        ),
        *("weights.safetensors", "weights-1.safetensors"),
    }
    assert len(onnx.load(model.folder / "model-1.onnx").graph.output) == 2


@pytest.mark.parametrize("file", ["model-1.onnx", "energies-1.onnx"])
def test_an_entry_that_lacks_a_member_is_refused(store, tmp_path, file):
    shutil.copytree(store.root, tmp_path / "store")
    card = tmp_path / "store" / "committee" / "1" / "card.json"
    content = json.loads(card.read_text())
    del content["files"][file]
    card.write_text(json.dumps(content))
    with pytest.raises(CorruptModel, match=f"no digest of {file}"):
        ModelStore(tmp_path / "store").load("committee")


class Opposed:
    """A backend whose members err in opposite directions: their mean is right, and their spread is
    not.
    """

    def __init__(self, backend):
        self.backend, self.card = backend, backend.card
        self.energies = backend.energies

    def __call__(self, graph):
        answer = self.backend(graph)
        std = answer.forces_std
        further = np.where(std > 0, 1 + 2e-3 / np.maximum(std, 1e-12), 1.0)[:, None]
        return replace(
            answer, member_forces=answer.forces + further * (answer.member_forces - answer.forces)
        )


def test_members_that_deviate_behind_a_sound_mean_are_refused(store, trained):
    backend = load_backend(store.load("committee"))
    with pytest.raises(CertificateRefused, match=r"forces 2\.0.e-03"):
        certify(Opposed(backend), TrainedRun(trained).models(torch.float64), [])


def test_evaluating_gives_the_uncertainty_of_runs_and_of_store_entries(store, trained):
    (of_run, of_store) = (
        open_predictor(m, store.root)(FRAMES) for m in (str(trained), "committee@1")
    )
    members = [
        open_predictor(str(folder.path), store.root)(FRAMES)
        for folder in CommitteeFolder(trained).members()
    ]
    assert of_run.energy_std.shape == (len(FRAMES),)
    np.testing.assert_allclose(
        of_run.energy_std, np.std([m.energy for m in members], axis=0), atol=1e-12
    )
    deviation = np.array([m.forces - of_run.forces for m in members])
    expected = np.sqrt((deviation**2).sum(axis=2).mean(axis=0))
    np.testing.assert_allclose(of_run.forces_std, expected, atol=1e-12)
    for name in ("energy", "energy_std", "forces", "forces_std", "stress"):
        np.testing.assert_allclose(
            getattr(of_store, name), getattr(of_run, name), atol=2e-4, err_msg=name
        )
    assert members[0].energy_std is None
    assert errors(of_run, FRAMES).forces_rmse < max(errors(m, FRAMES).forces_rmse for m in members)


def test_a_server_answers_with_the_uncertainty(store):
    with running(store.root, default_model="committee") as server:
        (plain,) = server.predict(ARGON).json()["results"]
        (energies,) = server.predict({**ARGON, "properties": ["energies"]}).json()["results"]
        (moved,) = server.predict({**ARGON, "relax": {"steps": 2}}).json()["results"]
        text = "2\nProperties=species:S:1:pos:R:3 energy_std=99\nAr 0 0 0\nNe 0 0 2.4\n"
        xyz = server.client.post(
            "/predict", content=text, headers={"Content-Type": "chemical/x-xyz"}
        )
        schema = server.client.get("/openapi.json").json()["components"]["schemas"]["ResultOut"][
            "properties"
        ]
        card = server.client.get("/models/committee").json()["card"]
    assert plain["energy_std"] > 0
    assert len(plain["forces_std"]) == 2
    assert plain["forces_std"][0] == pytest.approx(plain["forces_std"][1], abs=1e-6)
    assert set(energies) == {"id", "status", "energies"}
    assert moved["energy_std"] == pytest.approx(plain["energy_std"], abs=1e-5)
    assert moved["relaxed"]["energy_std"] != moved["energy_std"]
    assert len(moved["relaxed"]["forces_std"]) == 2
    atoms = ase.io.read(io.StringIO(xyz.text), format="extxyz")
    assert atoms.info["energy_std"] == pytest.approx(plain["energy_std"])
    np.testing.assert_allclose(atoms.arrays["forces_std"], plain["forces_std"])
    assert {"energy_std", "forces_std"} < set(schema)
    assert card["members"] == SEEDS


def test_a_committee_starts_from_the_members_of_another(data, store, tmp_path):
    shutil.copytree(store.root, tmp_path / "store")
    write(tmp_path / "train.xyz", molecules(12))
    keys = {
        "start": {"model": "committee@1", "freeze": ["embedding.*"]},
        "data": {"train": "train.xyz"},
        "epochs": 1,
    }
    train(tmp_path, tmp_path / "tuned", seeds=2, seed=0, **keys)
    for member, weights in enumerate(TrainedRun(tmp_path / "tuned").weights):
        file = ("weights.safetensors", "weights-1.safetensors")[member]
        base = load_file(store.root / "committee" / "1" / file)
        assert torch.equal(weights["embedding.centre"], base["embedding.centre"])
        assert not torch.equal(weights["scale"], base["scale"])


def test_the_command_line_trains_and_predicts(data, store, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.yaml").write_text(
        json.dumps(
            tiny_config(
                epochs=1, data={"train": "train.xyz", "split": {"validation": 8}}
            ).model_dump(mode="json")
        )
    )
    options = ["train", "two.yaml", "--data-root", str(data), "--seeds", "2"]
    assert main(options) == 0
    shown = capsys.readouterr()
    assert "committee" in shown.out
    assert "seed-1" in shown.err
    assert main([*options, "--resume"]) == 0
    plot = ["--plot-uncertainty", "uncertainty.png", "--model-store", str(store.root)]
    for model in ("committee", "runs/two"):
        assert main(["evaluate", model, str(data / "train.xyz"), *plot]) == 0
        assert (tmp_path / "uncertainty.png").stat().st_size > 10_000
    (tmp_path / "pair.xyz").write_text("2\n\nAr 0 0 0\nNe 0 0 2.4\n")
    capsys.readouterr()
    assert (
        main(
            [
                "predict",
                "pair.xyz",
                "--model",
                "committee",
                "--model-store",
                str(store.root),
                "--json",
            ]
        )
        == 0
    )
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["energy_std"] > 0
