"""The bundled model on each device in each way, held to what its card was certified at."""

import numpy as np
import pytest

from app.atoms.graph import Graph, collate
from app.atoms.neighbors import build_graph
from app.atoms.prediction import split
from app.backends import load_backend
from app.backends.onnx import open_onnx
from app.backends.onnx_runtime import CUDA, require_onnxruntime
from app.backends.onnx_session import Execution
from app.store.store import ModelStore
from tests.paths import MODEL_STORE
from tests.structures import SLAB, random_crystal, random_molecule

MODEL = ModelStore(MODEL_STORE).load("organic-xtb")
GPU = (
    pytest.mark.gpu,
    pytest.mark.skipif(
        CUDA not in require_onnxruntime().get_available_providers(),
        reason="the runtime has no CUDA provider",
    ),
)
WAYS = [pytest.param("cpu", None, id="cpu")]
WAYS += [pytest.param("cuda", way, marks=GPU, id=way.name.lower()) for way in Execution]


@pytest.fixture(scope="module")
def batches() -> list[list[Graph]]:
    """Molecules, a crystal and a slab alone, all of them together, and many molecules."""
    card = MODEL.card
    some = [random_molecule(card, n, seed=n) for n in (1, 2, 5, 13, 34)]
    some += [random_crystal(card, (2, 2, 2), 0), random_crystal(card, (3, 3, 1), 1, SLAB)]
    many = [random_molecule(card, 4 + i % 29, seed=100 + i) for i in range(64)]
    return [
        [build_graph(s, card.cutoff) for s in batch] for batch in (*([s] for s in some), some, many)
    ]


def test_it_is_small():
    assert sum(path.stat().st_size for path in MODEL.folder.iterdir()) < 6_000_000


@pytest.mark.parametrize(("device", "execution"), WAYS)
def test_answers_are_those_of_the_cpu_within_the_tolerance_of_the_card(device, execution, batches):
    allowed, alone = (
        MODEL.card.certificate.tolerance,
        load_backend(MODEL, threads=1, backend="onnx"),
    )
    backend = open_onnx(MODEL.card, MODEL.folder, device=device, execution=execution)
    for batch in batches:
        together = collate(batch)
        energies = backend.energies(together).energy
        answers = split(backend(together), together)
        for actual, energy, graph in zip(answers, energies, batch, strict=True):
            (expected,) = split(alone(graph), graph)
            per_atom = allowed.energy_per_atom * len(expected.forces)
            assert abs(actual.energy - expected.energy) <= per_atom
            assert abs(energy - expected.energy) <= per_atom
            np.testing.assert_allclose(actual.forces, expected.forces, rtol=0, atol=allowed.forces)
            if expected.stress is not None:
                np.testing.assert_allclose(
                    actual.stress, expected.stress, rtol=0, atol=allowed.stress
                )


@pytest.mark.parametrize(("device", "execution"), WAYS)
def test_a_batch_has_the_same_bits_each_time(device, execution, batches):
    backend = open_onnx(MODEL.card, MODEL.folder, device=device, execution=execution)
    for batch in batches:
        together = collate(batch)
        first, second, third = (backend(together) for _ in range(3))
        np.testing.assert_array_equal(first.forces, second.forces)
        np.testing.assert_array_equal(first.forces, third.forces)
