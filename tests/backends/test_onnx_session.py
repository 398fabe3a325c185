"""What a GPU is given, on the CPU: buffers, buckets and padding give the numbers of a plain run."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.atoms.neighbors import build_graph, build_graphs
from app.backends import load_backend
from app.backends import onnx_session as session
from app.backends.artifact import Execution
from app.backends.device import HOST, Device
from app.backends.onnx import open_onnx
from app.backends.onnx_runtime import CUDA, require_onnxruntime
from app.backends.onnx_session import (
    KEPT_SLOTS,
    LEAST,
    BoundArtifact,
    bucket,
    open_artifact,
)
from app.errors import BackendError
from app.store.card import ARTIFACT, ModelCard
from app.store.store import ModelStore, StoredModel
from app.training.export.synthetic import box, cluster, isolated
from tests.paths import MODEL_STORE
from tests.training.cards import ELEMENTS, random_card

PASSING = """
<ir_version: 8, opset_import: ["": 18]>
passing (int64[N] species, double[N, K, 3] edge_vectors, int64[N, K] neighbors, bool[N, K] mask, int64[N, K] reverse)
    => (double[N] energies, double[N, K, 3] edge_gradients)
{
    last = Constant <value_ints = [-1]> ()
    zero = Constant <value = double {0.0}> ()
    squares = Mul (edge_vectors, edge_vectors)
    lengths = ReduceSum <keepdims = 0> (squares, last)
    own = Where (mask, lengths, zero)
    sums = ReduceSum <keepdims = 0> (own, last)
    kind = Cast <to = 11> (species)
    messages = Add (sums, kind)
    received = Gather (messages, neighbors)
    terms = Mul (own, received)
    energies = ReduceSum <keepdims = 0> (terms, last)
    flat = Reshape (terms, last)
    reversed = Gather (flat, reverse)
    both = Add (terms, reversed)
    wide = Unsqueeze (both, last)
    edge_gradients = Mul (edge_vectors, wide)
}
"""
"""All that the layout of a message-passing model consists of, in a few products; no potential."""


@pytest.fixture(scope="module")
def allegro() -> StoredModel:
    return ModelStore(MODEL_STORE).load("organic-xtb")


@pytest.fixture(scope="module")
def artifacts(allegro, tmp_path_factory) -> dict[str, tuple[ModelCard, Path]]:
    """A card and a folder of artifacts, of a strictly local model and of one that passes messages."""
    folder = tmp_path_factory.mktemp("passing")
    onnx.save(onnx.parser.parse_model(PASSING), folder / ARTIFACT)
    return {"allegro": (allegro.card, allegro.folder), "passing": (random_card(2.5), folder)}


@pytest.mark.parametrize("execution", [Execution.BUCKETS, Execution.GRAPHS])
@pytest.mark.parametrize("name", ["allegro", "passing"])
@pytest.mark.parametrize("slots", [1 << 18, 400])
def test_each_execution_gives_the_numbers_of_a_plain_run(artifacts, name, execution, slots):
    card, folder = artifacts[name]
    sizes = [cluster(ELEMENTS, n, seed=n) for n in (2, 9, 30)]
    graph = build_graphs([*sizes, *isolated(ELEMENTS)[:2], box(ELEMENTS, 20, seed=1)], card.cutoff)
    expected = open_onnx(card, folder, threads=1)(graph)
    backend = open_onnx(card, folder, threads=1, slots=slots, execution=execution)
    assert np.abs(expected.forces).max() > 0.1
    for _ in range(2):
        actual = backend(graph)
        for field in ("energy", "energies", "forces", "stress"):
            np.testing.assert_allclose(
                getattr(actual, field), getattr(expected, field), rtol=1e-6, atol=1e-4
            )
        np.testing.assert_allclose(
            backend.energies(graph).energies, expected.energies, rtol=1e-6, atol=1e-4
        )


def test_a_buffer_that_is_used_again_holds_nothing_of_the_run_before(allegro):
    """Structures of one bucket, large and small: what one leaves behind, the next would see."""
    plain = load_backend(allegro, threads=1, backend="onnx")
    bound = open_onnx(allegro.card, allegro.folder, threads=1, execution=Execution.GRAPHS)
    graphs = [
        build_graph(cluster(ELEMENTS, n, seed=n), allegro.card.cutoff) for n in (16, 9, 12, 1, 16)
    ]
    for graph in graphs:
        np.testing.assert_allclose(bound(graph).forces, plain(graph).forces, rtol=0, atol=1e-4)
    shapes = {
        bucket(len(g.numbers), int(np.bincount(g.edge_index[0], minlength=1).max())) for g in graphs
    }
    assert [artifact.kept for artifact in bound.artifacts] == [len(shapes)]
    assert len(shapes) < len(graphs) - 1


def test_no_more_buffers_are_kept_than_allowed(allegro, monkeypatch):
    monkeypatch.setattr(session, "MOST_KEPT", 1)
    bound = open_onnx(allegro.card, allegro.folder, threads=1, execution=Execution.BUCKETS)
    for atoms in (8, 40, 70):
        graph = build_graph(cluster(ELEMENTS, atoms, seed=atoms), allegro.card.cutoff)
        expected = load_backend(allegro, threads=1, backend="onnx")(graph)
        np.testing.assert_allclose(bound(graph).forces, expected.forces, rtol=0, atol=1e-4)
    assert [artifact.kept for artifact in bound.artifacts] == [1]


def test_runs_from_several_threads_do_not_mix(allegro):
    bound = open_onnx(allegro.card, allegro.folder, threads=1, execution=Execution.BUCKETS)
    graphs = [build_graph(cluster(ELEMENTS, 12, seed=n), allegro.card.cutoff) for n in range(12)]
    expected = [bound(graph).forces for graph in graphs]
    with ThreadPoolExecutor(4) as pool:
        for actual, right in zip(pool.map(bound, graphs * 3), expected * 3, strict=True):
            np.testing.assert_array_equal(actual.forces, right)


@given(st.integers(1, 200_000), st.integers(1, 200))
def test_a_bucket_holds_the_portion_with_little_padding(atoms, slots):
    rows, columns = bucket(atoms, slots)
    assert rows >= max(atoms, LEAST[0])
    assert columns >= max(slots, LEAST[1])
    share = 1 / 4 if rows * columns <= KEPT_SLOTS else 1 / 16
    assert rows <= max(atoms, LEAST[0]) * (1 + share)
    assert columns <= max(slots, LEAST[1]) * (1 + share)
    assert bucket(rows, columns) == (rows, columns)


class Stale:
    """A session that computes for each binding once, as one whose recording reads no inputs."""

    def __init__(self, real) -> None:
        self.real, self.seen = real, []

    def __getattr__(self, name):
        return getattr(self.real, name)

    def run_with_iobinding(self, binding, options):
        if not any(binding is one for one in self.seen):
            self.seen.append(binding)
            self.real.run_with_iobinding(binding, options)


@pytest.mark.parametrize("name", ["allegro", "passing"])
def test_a_replay_that_does_not_read_its_inputs_is_found_out(artifacts, name):
    _, folder = artifacts[name]
    good = open_artifact(folder / ARTIFACT, HOST, Execution.GRAPHS, False)
    assert isinstance(good, BoundArtifact)
    probes = session.probes(good)
    good.check_replay(probes)
    bad = BoundArtifact(require_onnxruntime(), Stale(good.session), HOST, Execution.GRAPHS)
    with pytest.raises(BackendError, match="a replayed run deviates by"):
        bad.check_replay(probes)


def test_where_nothing_can_be_replayed_the_log_says_so_and_the_rest_stays(
    allegro, monkeypatch, caplog
):
    """A GPU is not at hand: what opens sessions is replaced by what opens them on the CPU."""
    opened = session.open_session

    def broken(path, device, execution, deterministic):
        artifact = opened(path, HOST, execution, deterministic)
        if execution is Execution.GRAPHS:
            artifact.session = Stale(artifact.session)
        return artifact

    monkeypatch.setattr(session, "open_session", broken)
    artifact = open_artifact(allegro.folder / ARTIFACT, Device("cuda"), Execution.GRAPHS, False)
    assert artifact.execution is Execution.BUCKETS
    assert "model.onnx runs without CUDA graphs" in caplog.text
    assert "a replayed run deviates" in caplog.text


HAS_CUDA = CUDA in require_onnxruntime().get_available_providers()


@pytest.mark.skipif(HAS_CUDA, reason="there may be a GPU")
@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.parametrize("execution", list(Execution))
def test_a_gpu_that_is_not_there_is_an_error(allegro, execution):
    with pytest.raises(
        BackendError, match="'cuda:1' needs CUDAExecutionProvider, but ONNX Runtime has only CPU"
    ):
        open_onnx(allegro.card, allegro.folder, device="cuda:1", execution=execution)


@pytest.mark.gpu
@pytest.mark.skipif(not HAS_CUDA, reason="the runtime has no CUDA provider")
@pytest.mark.parametrize("execution", list(Execution))
def test_a_gpu_gives_the_numbers_of_the_cpu(allegro, execution):
    graph = build_graphs([cluster(ELEMENTS, n, seed=n) for n in (2, 9, 30)], allegro.card.cutoff)
    expected = load_backend(allegro, backend="onnx")(graph)
    backend = open_onnx(allegro.card, allegro.folder, device="cuda:0", execution=execution)
    for _ in range(3):
        np.testing.assert_allclose(backend(graph).forces, expected.forces, rtol=0, atol=1e-3)
