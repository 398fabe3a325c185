"""Exported models in portions: sums, digits, and memory that does not suffice."""

from dataclasses import replace

import numpy as np
import pytest

from app.atoms.graph import collate
from app.atoms.neighbors import build_graph, build_graphs
from app.atoms.prediction import StructurePrediction, split
from app.atoms.structure import Structure
from app.backends import load_backend
from app.engine.bisect import evaluate
from app.errors import OutOfMemory, UnsupportedElement
from app.training.export.synthetic import box, cluster


def test_large_graphs_get_the_same_bits_on_any_number_of_threads(bundled):
    elements = bundled.card.elements
    graph = build_graphs(
        [box(elements, 700, seed=1), cluster(elements, 21, seed=2)], bundled.card.cutoff
    )
    answers = [
        load_backend(bundled, threads=threads, backend="onnx")(graph)
        for threads in (1, 2, 4)
        for _ in range(3)
    ]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer.forces, answers[0].forces)
        np.testing.assert_array_equal(answer.energy, answers[0].energy)
        np.testing.assert_array_equal(answer.stress, answers[0].stress)


def test_a_large_total_energy_keeps_its_digits(bundled):
    backend = load_backend(bundled)
    one = build_graph(cluster(bundled.card.elements, 30, seed=3), bundled.card.cutoff)
    alone = split(backend(one), one)[0].energy
    many = collate([one] * 500)
    # float32 would resolve 0.06
    assert backend(many).energy.sum() == pytest.approx(500 * alone, rel=0, abs=1e-3)


def test_an_unknown_element_is_named(bundled):
    graph = build_graph(
        Structure(np.array([6, 14]), np.array([[0.0, 0, 0], [0, 0, 1.8]])), bundled.card.cutoff
    )
    with pytest.raises(UnsupportedElement, match="atom 1 is Si"):
        load_backend(bundled)(graph)


class Cramped:
    """A session that fails as the real one does, where a run has more than some slots."""

    def __init__(self, session, slots):
        self.session, self.slots = session, slots

    def run(self, names, feeds):
        if feeds["mask"].size > self.slots:
            raise RuntimeError("std::bad_alloc")
        return self.session.run(names, feeds)


def cramp(backend, slots, monkeypatch):
    (artifact,) = backend.artifacts
    monkeypatch.setattr(
        backend, "artifacts", [replace(artifact, session=Cramped(artifact.session, slots))]
    )


def test_a_batch_beyond_the_memory_is_halved_until_it_fits(bundled, monkeypatch):
    backend = load_backend(bundled, threads=1, backend="onnx")
    graphs = [
        build_graph(cluster(bundled.card.elements, 12, seed=n), bundled.card.cutoff)
        for n in range(8)
    ]
    expected = evaluate(backend, graphs)
    cramp(backend, 500, monkeypatch)
    shortages = []
    actual = evaluate(backend, graphs, shortages.append)
    assert len(shortages[0]) == 8
    assert all(isinstance(outcome, StructurePrediction) for outcome in actual)
    np.testing.assert_allclose(
        [f.energy for f in actual], [e.energy for e in expected], rtol=0, atol=1e-4
    )


def test_one_structure_beyond_the_memory_is_an_error_of_its_own(bundled, monkeypatch):
    backend = load_backend(bundled, threads=1, backend="onnx")
    sizes = (12, 100, 12)
    graphs = [
        build_graph(cluster(bundled.card.elements, n, seed=n), bundled.card.cutoff) for n in sizes
    ]
    cramp(backend, 500, monkeypatch)
    kinds = [type(outcome) for outcome in evaluate(backend, graphs)]
    assert kinds == [StructurePrediction, OutOfMemory, StructurePrediction]
