"""The export of a real run folder, once in each precision, and what the certificate refuses."""

import io
import json
import shutil
from dataclasses import dataclass, replace

import ase.io
import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from safetensors.numpy import load_file, save_file

from app.atoms.graph import Graph
from app.atoms.prediction import Prediction
from app.backends import load_backend
from app.backends.kernel import open_kernel
from app.errors import CertificateRefused, CorruptModel, InvalidConfig, TrainingError
from app.store.store import ModelStore
from app.training.data.load import LabelledFrame
from app.training.export.certificate import TOLERANCES, certify
from app.training.export.publish import WEIGHTS, About, export, read_about, steps_of
from app.training.export.steps import Steps
from app.training.export.synthetic import cluster
from app.training.models import Statistics, build_model
from app.training.runs.config_file import parse_config
from app.training.runs.folder import RunFolder
from app.training.runs.trained import TrainedRun
from tests.api.server import running
from tests.contracts import ServedContract
from tests.training.cards import charged

CONFIG = {
    "data": {"train": "train.xyz"},
    "model": {
        "architecture": "allegro",
        "cutoff": 4.0,
        "num_scalars": 16,
        "num_tensors": 4,
        "two_body_mlp": [16],
        "latent_mlp": [16],
        "readout_mlp": [8],
    },
}
TINY = {**CONFIG["model"], "l_max": 1, "num_layers": 1}
STATISTICS = Statistics(
    elements=("H", "C", "N", "O"),
    atomic_energies={"H": -13.6, "C": -1030.0, "N": -1485.0, "O": -2042.0},
    force_scale=1.3,
    average_neighbors=12.0,
)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    return random_run(tmp_path_factory.mktemp("run"), CONFIG["model"])


def random_run(path, model):
    """The folder of a run whose weights are random."""
    folder, config = RunFolder(path), parse_config({**CONFIG, "model": model}, "config")
    path.mkdir(exist_ok=True)
    structures = [cluster(STATISTICS.elements, n, seed=n) for n in (6, 9, 12)]
    frames = [
        LabelledFrame(s, 0.0, np.zeros((len(s), 3)), None, "made up", i)
        for i, s in enumerate(structures)
    ]
    folder.write_setting(config, STATISTICS, frames)
    folder.write_weights(charged(build_model(config.model, STATISTICS, seed=1)).state_dict())
    folder.write_result({"test": {"forces_mae": 1.0}})
    folder.parity.write_bytes(b"a picture")
    return folder


@pytest.fixture(scope="module")
def store(run_folder, tmp_path_factory):
    store = ModelStore(tmp_path_factory.mktemp("store"))
    about = About(description="random weights", license="MIT", limitations=("everything",))
    export(TrainedRun(run_folder.path), store, "random", about)
    return store


class TestExportedArtifact(ServedContract):
    @pytest.fixture(scope="class", params=[1, 2], ids=["one thread", "two threads"])
    @classmethod
    def backend(cls, store, request):
        return load_backend(store.load("random"), threads=request.param, backend="onnx")


def test_the_card_says_what_was_exported_and_how_well(store):
    model = store.load("random@1")
    card = model.card
    assert card.elements == STATISTICS.elements
    assert card.receptive_field == card.cutoff == 4.0
    assert card.parameters > 1000
    assert card.metrics == {"test": {"forces_mae": 1.0}}
    assert card.certificate.tolerance == TOLERANCES["float32"]
    assert (
        0
        < card.certificate.held_out.forces
        <= card.certificate.largest.forces
        < TOLERANCES["float32"].forces
    )
    assert card.certificate.systems > 100
    assert card.artifacts == ["model.onnx", "energies.onnx"]
    assert set(card.files) == {
        *card.artifacts,
        "weights.safetensors",
        "config.yaml",
        "statistics.json",
        "metrics.json",
        "parity.png",
    }


def test_the_probe_on_the_card_is_answered_or_the_model_refused(store, tmp_path):
    stored = store.load("random@1")
    probe = stored.card.probe
    assert set(probe.numbers) == {1, 6, 7, 8}
    assert probe.pbc == (True, True, True)
    assert probe.tolerance.forces >= stored.card.certificate.tolerance.forces
    changed = ModelStore(tmp_path)
    for update, message in (
        ({"elements": stored.card.elements[::-1]}, r"gives -?\d+\.\d{6} eV for its card's probe"),
        ({"cutoff": 2.5}, "its card's probe"),
        ({"atomic_energies": {"H": -14.0}}, "its card's probe"),
    ):
        version = changed.next_version("random")
        with changed.publish(
            stored.card.model_copy(update={**update, "version": version})
        ) as publication:
            for file in stored.card.files:
                shutil.copyfile(stored.folder / file, publication.folder / file)
        with pytest.raises(CorruptModel, match=message):
            load_backend(changed.load("random"))


def test_the_artifact_takes_any_number_of_atoms_and_scatters_nothing(store):
    graph = onnx.load(store.load("random").folder / "model.onnx").graph
    sizes = {
        i.name: [d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim]
        for i in graph.input
    }
    assert set(sizes) == {"species", "neighbor_species", "edge_vectors", "mask"}
    assert isinstance(sizes["edge_vectors"][0], str)
    assert isinstance(sizes["edge_vectors"][1], str)
    assert not [node.op_type for node in graph.node if "Scatter" in node.op_type]


def raise_energies(path):
    """Have an artifact say 1 eV more for each atom."""
    model = onnx.load(path)
    for node in model.graph.node:
        node.output[:] = ["lower" if name == "energies" else name for name in node.output]
    model.graph.initializer.append(numpy_helper.from_array(np.array(1.0, np.float32), "one"))
    model.graph.node.append(helper.make_node("Add", ["lower", "one"], ["energies"]))
    onnx.save(model, path)


@pytest.fixture(scope="module")
def marked(store, tmp_path_factory):
    """A store with the model in version 1, whose energies alone are 1 eV an atom off, and in 2,
    without artifact.
    """
    stored, marked = store.load("random@1"), ModelStore(tmp_path_factory.mktemp("marked"))
    for version, alone in ((1, True), (2, False)):
        update = {"version": version, "energies_alone": alone, "probe": None}
        with marked.publish(stored.card.model_copy(update=update)) as publication:
            for file in publication.card.artifacts:
                shutil.copyfile(stored.folder / file, publication.folder / file)
            if alone:
                raise_energies(publication.folder / "energies.onnx")
    return marked


def test_a_server_takes_the_artifact_of_the_energies_where_it_is_there_and_suffices(marked):
    water = {
        "symbols": ["O", "H", "H"],
        "positions": [[0, 0, 0.1], [0, 0.9, -0.6], [0, -0.9, -0.6]],
    }
    xyz = "3\n\nO 0 0 0.1\nH 0 0.9 -0.6\nH 0 -0.9 -0.6\n"

    def energy(**fields):
        (result,) = server.predict({**water, **fields}).json()["results"]
        return result["energy"]

    with running(marked.root, default_model="random@1") as server:
        whole = energy()
        assert energy(properties=["energy", "energies"]) == pytest.approx(whole + 3.0, abs=1e-5)
        assert energy(properties=["energy", "stress"]) == whole
        assert energy(properties=["energy"], relax={"steps": 1}) == whole
        kind = {"Content-Type": "chemical/x-xyz"}
        answer = server.client.post("/predict?properties=energy", content=xyz, headers=kind)
        assert ase.io.read(
            io.StringIO(answer.text), format="extxyz"
        ).get_potential_energy() == energy(properties=["energy"])
        assert energy(model="random@2", properties=["energy"]) == energy(model="random@2") == whole


def test_a_second_export_is_the_next_version_and_in_double_precision_if_asked(store, run_folder):
    # the norms of the latent updates are then 1 - 3e-6 and 1 - 3e-9: no factor is left out
    run = TrainedRun(run_folder.path)
    for layer, amount in enumerate((-6.0, -9.5)):
        run.weights[0][f"layers.{layer}.latent.amount"] = torch.tensor(amount)
    steps = Steps()
    published = export(run, store, "random", About(), dtype="float64", steps=steps)
    assert len(steps.taken) == steps.total == steps_of() == 8
    assert [step.what for step in steps.taken][3:7] == [
        "writing model.onnx",
        "cutting out energies.onnx",
        "certifying the artifact",
        "certifying the native kernel",
    ]
    assert all(step.seconds > 0 for step in steps.taken)
    assert published.card.version == 2
    assert published.card.certificate.largest.forces < 1e-9
    assert published.card.certificate.largest.energy_per_atom < 1e-12
    assert published.card.kernel is None  # which computes in single precision
    assert store.versions("random") == [1, 2]


@dataclass(frozen=True)
class Tampered:
    """A backend whose answers are a little off."""

    backend: object
    force: float = 0.0
    share: float = 0.0
    energy: float = 0.0
    noise: bool = False

    @property
    def card(self):
        return self.backend.card

    def __call__(self, graph: Graph) -> Prediction:
        answer = self.backend(graph)
        off = (
            np.random.default_rng().normal(0, 1e-6, answer.forces.shape)
            if self.noise
            else self.force
        )
        return replace(answer, forces=answer.forces * (1 + self.share) + off)

    def energies(self, graph: Graph) -> Prediction:
        answer = self.backend.energies(graph)
        return replace(answer, energy=answer.energy + self.energy * graph.n_atoms)


def test_an_artifact_over_the_tolerance_is_refused_with_the_number(store, run_folder):
    models = TrainedRun(run_folder.path).models(torch.float64)
    backend = load_backend(store.load("random@1"))
    with pytest.raises(CertificateRefused, match=r"forces 2\.0.e-03 \(tolerance 5e-04\)"):
        certify(Tampered(backend, force=2e-3), models, [])
    with pytest.raises(CertificateRefused, match=r"energy_per_atom 1\.0.e-03 \(tolerance 2e-05\)"):
        certify(Tampered(backend, energy=1e-3), models, [])
    with pytest.raises(CertificateRefused, match=r"forces nan \(tolerance 5e-04\)"):
        certify(Tampered(backend, force=np.nan), models, [])


def test_large_forces_of_synthetic_structures_are_compared_in_proportion_those_of_frames_never(
    run_folder, tmp_path, monkeypatch
):
    frames = TrainedRun(run_folder.path).held_out()
    run = TrainedRun(random_run(tmp_path / "run", TINY).path)
    run.weights[0]["scale"] = 1e6 * run.weights[0]["scale"]
    monkeypatch.setattr(run, "held_out", list)
    published = export(run, ModelStore(tmp_path / "store"), "steep", About())
    assert 0 < published.card.certificate.largest.forces < TOLERANCES["float32"].forces
    assert published.card.certificate.held_out is None
    backend, models = load_backend(published), run.models(torch.float64)
    with pytest.raises(CertificateRefused, match="forces"):
        certify(backend, models, frames)
    with pytest.raises(CertificateRefused, match=r"forces 1\.[45]\de-03 \(tolerance 5e-04\)"):
        certify(Tampered(backend, share=1.5e-3), models, [])


def test_an_artifact_that_answers_differently_each_time_is_refused(store, run_folder):
    models = TrainedRun(run_folder.path).models(torch.float64)
    with pytest.raises(CertificateRefused, match="race"):
        certify(Tampered(load_backend(store.load("random@1")), noise=True), models, [])


def test_a_refused_artifact_leaves_nothing_in_the_store(store, run_folder, tmp_path, monkeypatch):
    wrong = TrainedRun(run_folder.path)
    other = build_model(wrong.config.model, STATISTICS, torch.float64, seed=2)
    artifact = store.load("random@1").folder / "model.onnx"
    monkeypatch.setattr(wrong, "models", lambda dtype: [other.to(dtype)])
    monkeypatch.setattr(
        "app.training.export.publish.export_onnx",
        lambda _, path, steps: shutil.copyfile(artifact, path),
    )
    refusing = ModelStore(tmp_path)
    with pytest.raises(CertificateRefused):
        export(wrong, refusing, "wrong", About())
    assert refusing.names() == []
    assert list((tmp_path / "wrong").iterdir()) == []


def test_the_kernel_is_certified_beside_the_artifact(store):
    pytest.importorskip("equipot_kernel")
    model = store.load("random@1")
    kernel = load_backend(model, threads=1, backend="kernel")
    assert model.card.kernel.runtime == kernel.runtime
    certificate = model.card.kernel.certificate
    assert certificate.tolerance == TOLERANCES["float32"]
    assert certificate.systems == model.card.certificate.systems
    assert 0 < certificate.held_out.forces <= certificate.largest.forces < 5e-4


def test_a_kernel_that_deviates_is_named_and_nothing_is_published(tmp_path, monkeypatch):
    """It has weights of its own, one of them 1 % off."""
    pytest.importorskip("equipot_kernel")

    def open_changed(card, folder):
        other = shutil.copytree(folder, tmp_path / "changed")
        weights = load_file(other / WEIGHTS)
        save_file({**weights, "scale": weights["scale"] * 1.01}, other / WEIGHTS)
        return open_kernel(card, other)

    monkeypatch.setattr("app.training.export.publish.open_kernel", open_changed)
    run = TrainedRun(random_run(tmp_path / "run", TINY).path)
    refusing = ModelStore(tmp_path / "store")
    message = r"the native kernel \(equipot-kernel .*\) deviates from its model: .*forces"
    with pytest.raises(CertificateRefused, match=message):
        export(run, refusing, "wrong", About())
    assert refusing.names() == []


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"config\.yaml is missing"):
        TrainedRun(tmp_path)


def test_about_names_the_unknown_key(tmp_path):
    path = tmp_path / "about.yaml"
    path.write_text(json.dumps({"licence": "MIT"}))
    with pytest.raises(InvalidConfig, match="licence"):
        read_about(path)
