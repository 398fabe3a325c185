"""Answers that were given before."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.atoms.prediction import StructurePrediction
from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.protocol.request import Entry, PredictRequest
from app.protocol.response import Answered
from app.relax import RelaxOptions
from app.service.answer_cache import AnswerCache, key_of
from app.service.metrics import Metrics
from app.tasks import TASKS, TaskCall

DIMER = Structure(np.array([18, 18]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 3.9]]))


def answered(energy: float, atoms: int = 10) -> Answered:
    """With a part of the arrays of a large batch."""
    batch = np.full((100_000, 3), energy)
    return Answered(StructurePrediction(energy, batch[:atoms, 0], batch[:atoms]))


def key(number: int) -> bytes:
    return number.to_bytes(32)


def test_it_holds_no_more_than_stated_and_keeps_what_is_asked_for() -> None:
    metrics = Metrics()
    cache = AnswerCache(4000, metrics)
    for number in range(100):
        cache.keep(key(number), answered(number))
        assert cache.size <= 4000
        assert (cache.get("m@1", key(0)) is not None) == (number < 100)
    kept = [number for number in range(100) if cache.get("m@1", key(number)) is not None]
    assert kept[0] == 0
    assert kept[1:] == list(range(101 - len(kept), 100))
    cache.keep(key(100), answered(1.0, atoms=1000))
    assert cache.get("m@1", key(100)) is None, "larger than all of it"
    assert metrics.registry.get_sample_value("equipot_answer_cache_bytes") == cache.size


def test_what_is_taken_is_to_the_last_bit_what_was_kept_and_nobody_elses() -> None:
    cache, given = AnswerCache(100_000, Metrics()), answered(1 / 3)
    cache.keep(key(1), given)
    for _ in range(2):
        got = cache.get("m@1", key(1))
        assert got is not None
        assert got.prediction.energy == 1 / 3
        np.testing.assert_array_equal(got.prediction.forces, given.prediction.forces)
        got.prediction.forces[:] = 0.0  # type: ignore[index]


@pytest.mark.parametrize(
    ("changed", "asked"),
    [
        ({"positions": DIMER.positions + 1e-15}, {}),
        ({"numbers": np.array([18, 10])}, {}),
        ({"cell": 9 * np.eye(3), "pbc": np.array([True] * 3)}, {}),
        ({"cell": 9 * np.eye(3)}, {}),
        ({"charge": 1}, {}),
        ({"multiplicity": 1}, {}),
        ({"fixed": np.array([True, False])}, {}),
        ({}, {"relax": RelaxOptions()}),
        ({}, {"relax": RelaxOptions(fmax=0.01)}),
        ({}, {"properties": ("energy",)}),
        ({}, {"task": TaskCall(TASKS["thermo"], TASKS["thermo"].options())}),
        ({}, {"task": TaskCall(TASKS["thermo"], TASKS["thermo"].options(pressure_Pa=1e5))}),
        ({}, {"strict": True}),
        ({}, {"on_ood": "error"}),
        ({}, {"allow_odd_electrons": True}),
        ({}, {"warnings": (AnswerWarning("isotope_ignored", "atom 0"),)}),
        ({}, {"digest": "another"}),
    ],
)
def test_whatever_an_answer_depends_on_is_in_its_key(
    changed: dict[str, Any], asked: dict[str, Any]
) -> None:
    fields = {"numbers": DIMER.numbers, "positions": DIMER.positions}
    assert _key(Structure(**fields)) == _key(DIMER)
    assert _key(Structure(**fields | changed), **asked) != _key(DIMER)


def _key(structure: Structure, **asked: Any) -> bytes:
    model: Any = SimpleNamespace(digest=asked.pop("digest", "digest"))
    entry = Entry("whatever", structure, warnings=asked.pop("warnings", ()))
    return key_of(model, entry, structure, PredictRequest([entry], **asked))
