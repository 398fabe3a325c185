"""The native kernel beside the model in float64 and the ONNX artifact; skipped where it is not
installed.
"""

import logging
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file, save_file

from app.atoms.graph import collate
from app.atoms.neighbors import build_graph
from app.atoms.prediction import split
from app.backends import choice, load_backend
from app.backends.artifact import ERRORS, OUTPUTS
from app.backends.kernel import KernelArtifact, open_kernel
from app.backends.kernel_network import AllegroShape, parameters, read_networks, tables
from app.errors import BackendError
from app.store.card import ModelCard
from app.store.store import StoredModel
from app.training.models import AllegroConfig, LocalInputs, Statistics, build_model
from app.training.models.derivatives import answers
from app.training.models.uncertainty import Uncertainty, WithUncertainty
from tests.api.server import WATER, running
from tests.contracts import ServedContract
from tests.paths import MODEL_STORE
from tests.structures import random_molecule

equipot_kernel = pytest.importorskip(
    "equipot_kernel", reason="the kernel is not installed: pip install ./kernel"
)

ELEMENTS = ("H", "C", "O", "Si")
STATISTICS = Statistics(
    elements=ELEMENTS,
    atomic_energies={},
    binding_energies={"H": -2.0, "C": -8.5, "O": -5.0},
    force_scale=1.3,
    average_neighbors=12.0,
)
SMALL = {"num_scalars": 8, "num_tensors": 3, "two_body_mlp": (8,), "latent_mlp": (8,)}
SHAPES = {
    "default": {},
    "odd widths": {
        "num_scalars": 37,
        "num_tensors": 5,
        "two_body_mlp": (19, 23, 7),
        "latent_mlp": (11, 29, 5),
        "readout_mlp": (13, 3),
        "num_bessels": 5,
        "envelope_power": 3,
    },
    "no hidden layers": {"two_body_mlp": (), "latent_mlp": (), "readout_mlp": (), "num_tensors": 1},
    "all terms": {"takes_charge": True, "repulsion": "zbl", "binding": True},
    "vectors, one layer": {"l_max": 1, "num_layers": 1, **SMALL},
    **{
        f"l_max {l_max}, {parity}": {"l_max": l_max, "parity": parity, "num_layers": 3, **SMALL}
        for l_max in (0, 1, 2, 3)
        for parity in ("full", "natural", "none")
    },
}
PORTIONS = ((1, 1), (13, 17), (3, 230), (70, 1))
"""Atoms and slots; tiles have 64 atoms and some 150 edges at most."""
LEVELS = equipot_kernel.LEVELS[: equipot_kernel.LEVELS.index(equipot_kernel.best_level()) + 1]


def networks(config):
    """The model in both precisions, with the same weights, and as the kernel takes it."""
    single, double = (build_model(config, STATISTICS, t) for t in (torch.float32, torch.float64))
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in single.named_parameters():
            if name.endswith(("charge", "amount")):
                parameter.normal_()
    double.load_state_dict(single.state_dict())
    shape = AllegroShape.model_validate(config.model_dump(mode="json"))
    weights = {name: tensor.numpy() for name, tensor in single.state_dict().items()}
    network = tables(shape, ELEMENTS, STATISTICS.binding_energies) | parameters(weights)
    return single, double, network


def portion(atoms, slots, seed):
    """Inputs with atoms of no edges and of all slots, some edges beyond the cutoff."""
    random = np.random.default_rng(seed)
    degrees = random.integers(0, slots + 1, atoms)
    degrees[[0, -1]] = 0, slots
    mask = np.arange(slots) < degrees[:, None]
    vectors = random.normal(size=(atoms, slots, 3))
    vectors *= random.uniform(0.8, 5.2, (atoms, slots, 1)) / np.linalg.norm(
        vectors, axis=-1, keepdims=True
    )
    vectors[~mask] = np.nan  # padding is not looked at
    return {
        "species": random.integers(0, len(ELEMENTS), atoms),
        "neighbor_species": random.integers(0, len(ELEMENTS), mask.shape),
        "edge_vectors": vectors.astype(np.float32),
        "mask": mask,
        "charge": random.integers(-2, 3, atoms).astype(np.float32),
    }


def in_torch(model, feeds, dtype):
    """What a model answers; zero where padded."""
    return [values.detach().numpy() for values in answers(model, local_inputs(feeds, dtype))]


def local_inputs(feeds, dtype):
    tensors = {name: torch.from_numpy(array) for name, array in feeds.items()}
    exact = {name: tensors[name].to(dtype) for name in ("edge_vectors", "charge")}
    exact["edge_vectors"] = torch.nan_to_num(exact["edge_vectors"])
    return LocalInputs(**{**tensors, **exact})


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_gradients_by_the_weights_are_those_of_the_model(shape):
    _, double, network = networks(AllegroConfig(**shape))
    for seed, (atoms, slots) in enumerate(PORTIONS):
        feeds = portion(atoms, slots, seed)
        factors = np.random.default_rng(seed).normal(size=atoms)
        inputs = local_inputs(feeds, torch.float64)
        double.zero_grad()
        (double(inputs) * torch.from_numpy(factors)).sum().backward()
        expected = {
            name.removeprefix("model."): np.zeros(p.shape) if p.grad is None else p.grad.numpy()
            for name, p in double.named_parameters()
        }
        for level in LEVELS:
            opened = KernelArtifact(equipot_kernel.library(level), network)
            sums = {name: np.ones(grad.shape) for name, grad in expected.items()}
            energies = opened.weight_gradients(feeds, factors, sums)
            np.testing.assert_array_equal(energies, opened.run(OUTPUTS[:1], feeds)[0])
            for name, gradient in expected.items():
                scale = max(np.abs(gradient).max(initial=0), 1e-3)
                np.testing.assert_allclose(
                    sums[name] - 1, gradient, rtol=0, atol=2e-4 * scale, err_msg=name
                )


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_any_shape_is_as_exact_as_the_model_in_single_precision(shape):
    single, double, network = networks(AllegroConfig(**shape))
    opened = [KernelArtifact(equipot_kernel.library(level), network) for level in LEVELS]
    for seed, (atoms, slots) in enumerate(PORTIONS):
        feeds = portion(atoms, slots, seed)
        expected = in_torch(double, feeds, torch.float64)
        rounded = in_torch(single, feeds, torch.float32)
        for artifact in opened:
            actual = artifact.run(OUTPUTS, feeds)
            np.testing.assert_array_equal(artifact.run(OUTPUTS[:1], feeds)[0], actual[0])
            for ours, exact, theirs in zip(actual, expected, rounded, strict=True):
                unit = np.abs(exact).max()
                assert np.abs(ours - exact).max() <= max(
                    1e-6 * max(unit, 1.0), 8 * np.abs(theirs - exact).max()
                )


def test_errors_are_estimated_as_the_model_does():
    _, double, network = networks(AllegroConfig(**SMALL))
    head = Uncertainty(len(ELEMENTS), 32).double()
    torch.manual_seed(1)
    with torch.no_grad():
        for tensor in head.state_dict().values():
            tensor.uniform_(0.01, 0.2)
    arrays = {f"uncertainty.{name}": t.numpy() for name, t in head.state_dict().items()}
    arrays["uncertainty.width"] = np.array(len(arrays["uncertainty.hidden.bias"]))
    artifact = KernelArtifact(equipot_kernel.library(), network | arrays)
    feeds = portion(13, 17, 5)
    expected = in_torch(WithUncertainty(double, head), feeds, torch.float64)
    for ours, exact in zip(artifact.run((*OUTPUTS, *ERRORS), feeds), expected, strict=True):
        np.testing.assert_allclose(ours, exact, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def backend(bundled):
    return load_backend(bundled, threads=2, backend="kernel")


class TestKernel(ServedContract):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, bundled):
        return load_backend(bundled, threads=2, backend="kernel")


def test_a_structure_has_the_same_bits_in_any_company(backend):
    card = backend.card
    structures = [random_molecule(card, n, seed=n) for n in (2, 5, 11, 30)]
    graphs = [build_graph(structure, card.cutoff) for structure in structures]
    together = collate([*graphs, *graphs[::-1]])
    answers = split(backend(together), together)
    for graph, *found in zip(graphs, answers[:4], answers[:3:-1], strict=True):
        (alone,) = split(backend(graph), graph)
        for answer in found:
            np.testing.assert_array_equal(answer.forces, alone.forces)
            np.testing.assert_array_equal(answer.energies, alone.energies)


def test_numbers_that_are_none_stay_with_their_atom(backend):
    feeds = portion(20, 9, 3)
    feeds["species"] %= 10
    artifact = backend.artifacts[0]
    clean = artifact.run(OUTPUTS, feeds)
    feeds["edge_vectors"][10, :] = np.inf
    energies, gradients = artifact.run(OUTPUTS, feeds)
    others = np.arange(20) != 10
    np.testing.assert_array_equal(energies[others], clean[0][others])
    np.testing.assert_array_equal(gradients[others], clean[1][others])


def test_auto_takes_the_faster_one_and_says_so(bundled, monkeypatch, caplog):
    monkeypatch.setattr(
        choice, "evaluation_seconds", lambda backend, graph: 0.1 + ("onnx" in backend.runtime)
    )
    with caplog.at_level(logging.INFO, "app.backends.choice"):
        assert "equipot-kernel" in load_backend(bundled, threads=1).runtime
        assert "onnxruntime" in load_backend(bundled, threads=1, deterministic=True).runtime
    assert "organic-xtb@3 runs on kernel, measured to be 11.00 times as fast as onnx" in caplog.text
    assert "backend 'kernel' is taken where it is named" in caplog.text


def test_auto_measures_and_whatever_it_takes_answers_as_the_artifact_does(bundled, caplog):
    """Which one is the faster depends on the machine, and is not asked."""
    with caplog.at_level(logging.INFO, "app.backends.choice"):
        chosen = load_backend(bundled, threads=1)
    found = re.search(
        r"organic-xtb@3 runs on (kernel|onnx), measured to be \d+\.\d\d times as fast as (\w+)",
        caplog.text,
    )
    assert found is not None
    assert set(found.groups()) == {"kernel", "onnx"}
    assert chosen.runtime.startswith({"kernel": "equipot-kernel", "onnx": "onnxruntime"}[found[1]])
    onnx = load_backend(bundled, threads=1, backend="onnx")
    card, tolerance = bundled.card, bundled.card.certificate.tolerance
    graph = collate(
        [build_graph(random_molecule(card, n, seed=n), card.cutoff) for n in (3, 21, 40)]
    )
    ours, theirs = chosen(graph), onnx(graph)
    scale = np.abs(theirs.forces).max(initial=1.0)
    np.testing.assert_allclose(ours.forces, theirs.forces, atol=2 * tolerance.forces * scale)
    shares = np.abs(theirs.energies - card.references(graph)).max(initial=1.0)
    np.testing.assert_allclose(
        ours.energies, theirs.energies, rtol=0, atol=2 * tolerance.energy_per_atom * shares
    )


def test_the_service_and_its_log_say_what_a_model_runs_on(caplog):
    settings = {"default_model": "organic-xtb", "backend": "kernel", "log_level": "info"}
    logged = caplog.at_level(logging.INFO, "app.service.models")
    with logged, running(MODEL_STORE, **settings) as server:
        level = equipot_kernel.best_level()
        runs_on = server.client.get("/models/organic-xtb").json()["runs_on"]
        assert f"equipot-kernel {equipot_kernel.version()} with {level}" in runs_on
        models = server.client.get("/models").json()["models"]
        assert {m["name"]: m["runs_on"] for m in models}["organic-xtb"] == runs_on
        assert f"by {runs_on}" in caplog.text
        assert server.predict(WATER).json()["results"][0]["energy"] < -130


@pytest.fixture
def changed(bundled, tmp_path):
    """The bundled version in a folder of its own, to be changed."""
    shutil.copytree(bundled.folder, tmp_path / "3")
    return StoredModel(bundled.card, tmp_path / "3", bundled.digest)


def refused(model: StoredModel, match: str) -> None:
    with pytest.raises(BackendError, match=match):
        load_backend(model, backend="kernel")


def test_a_level_without_a_library_is_named(tmp_path, monkeypatch):
    """As in a folder of sources, or in what was built for another processor."""
    monkeypatch.setattr(equipot_kernel, "FOLDER", tmp_path)
    equipot_kernel.library.cache_clear()
    try:
        with pytest.raises(
            OSError, match="has no library for AVX2 instructions; equipot-kernel has"
        ):
            equipot_kernel.library("AVX2")
    finally:
        equipot_kernel.library.cache_clear()


def test_what_the_config_says_and_the_kernel_does_not_know_is_refused_by_name(changed):
    path = changed.folder / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["model"]["swish"] = True
    path.write_text(yaml.safe_dump(config))
    refused(changed, r"cannot run organic-xtb@3: model\.swish of its config: Extra inputs")
    config["model"] = {"architecture": "nequip"}
    path.write_text(yaml.safe_dump(config))
    refused(changed, r"model\.architecture of its config: Input should be 'allegro'")


def test_other_weights_than_the_artifacts_are_found_out(changed, caplog):
    path = changed.folder / "weights.safetensors"
    weights = load_file(path)
    save_file({**weights, "model.scale": weights["model.scale"] * 1.01}, path)
    refused(changed, "the kernel differs from the artifact by")
    with caplog.at_level(logging.INFO, "app.backends.choice"):
        assert "onnxruntime" in load_backend(changed).runtime
    assert "organic-xtb@3 does not run on kernel: the kernel differs" in caplog.text


def test_weights_of_another_size_are_refused(changed):
    path = changed.folder / "weights.safetensors"
    weights = load_file(path)
    save_file({**weights, "model.scale": weights["model.scale"][:-1]}, path)
    refused(changed, "'scale' has 9 real numbers, not 10 real ones")
    del weights["model.scale"]
    save_file(weights, path)
    refused(changed, "no 'scale' was given")


def test_a_committee_has_a_network_a_member(changed):
    weights = load_file(changed.folder / "weights.safetensors")
    other = {**weights, "model.scale": weights["model.scale"] * 1.1}
    save_file(other, changed.folder / "weights-1.safetensors")
    alone = changed.card.model_copy(update={"uncertainty": None, "files": {}})
    graph = build_graph(random_molecule(alone, 9, seed=9), alone.cutoff)
    committee = open_kernel(alone.model_copy(update={"members": 2}), changed.folder)(graph)
    first = open_kernel(alone, changed.folder)(graph)
    save_file(other, changed.folder / "weights.safetensors")
    second = open_kernel(alone, changed.folder)(graph)
    np.testing.assert_allclose(committee.forces, (first.forces + second.forces) / 2, atol=1e-12)


def test_files_without_a_digest_are_not_read(changed):
    files = {k: v for k, v in changed.card.files.items() if k != "weights.safetensors"}
    card = changed.card.model_copy(update={"files": files})
    with pytest.raises(BackendError, match=r"organic-xtb@3 has no weights\.safetensors"):
        read_networks(card, changed.folder)


def test_double_precision_and_gpus_are_refused(bundled: StoredModel):
    card: ModelCard = bundled.card.model_copy(update={"dtype": "float64"})
    refused(replace(bundled, card=card), "computes in float32, and organic-xtb@3 in float64")
    with pytest.raises(BackendError, match="for the CPU, not for 'cuda:0'"):
        open_kernel(bundled.card, bundled.folder, device="cuda:0")
