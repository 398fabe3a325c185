"""Results and states are kept to the last bit."""

from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

from app.atoms.neighbors import build_graph
from app.atoms.prediction import StructurePrediction
from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.errors import AtomsTooClose, InvalidFormat, Overloaded
from app.jobs.records import CLASSES, DROPPED, Record, pack, pack_records, unpack, unpack_records
from app.protocol.encode import encode
from app.protocol.model_ref import ModelRef
from app.protocol.request import Entry, PredictRequest
from app.protocol.response import Answered, PredictResponse
from app.relax import RelaxationState, Relaxed
from app.relax.internal import Internal, Pairs
from app.relax.optimizers import Fire, Lbfgs, Optimizer, ScaledLbfgs
from app.relax.primitives import find_primitives
from app.tasks.scan.scan import ScanValue

RNG = np.random.default_rng(1)
CRYSTAL = Structure(
    np.array([18, 10]),
    RNG.normal(size=(2, 3)),
    5.0 * np.eye(3),
    np.ones(3, dtype=bool),
    1,
    2,
    np.array([True, False]),
)
PREDICTION = StructurePrediction(
    1.0 / 3.0,
    RNG.normal(size=2),
    RNG.normal(size=(2, 3)),
    RNG.normal(size=(3, 3)),
    RNG.normal(size=4),
    RNG.normal(size=(4, 2, 3)),
)
GRAPH = build_graph(CRYSTAL, 3.0)
RELAXED = Relaxed(CRYSTAL, GRAPH, PREDICTION, PREDICTION, 0.01, 7, True, "forces < 1", "converged")
RECORDS = [
    Record(
        Entry("a", CRYSTAL, {"key": "value"}, (AnswerWarning("flat_sketch", "flat"),)),
        Answered(PREDICTION, RELAXED, (AnswerWarning("bonds_changed", "broken"),)),
    ),
    Record(Entry(None, InvalidFormat("no frame")), InvalidFormat("no frame")),
    Record(Entry("c", CRYSTAL), AtomsTooClose("atoms 0 and 1")),
]


@pytest.mark.parametrize("kind", ["json", "msgpack", "xyz"])
def test_results_are_written_as_if_they_had_not_been_kept(kind: Any) -> None:
    def written(records: list[Record]) -> bytes:
        request = PredictRequest([record.entry for record in records])
        results = [record.result for record in records]
        return encode(PredictResponse(ModelRef("m", 1, "d"), request, results), kind)

    assert written(unpack_records(pack_records(RECORDS))) == written(RECORDS)


def test_some_can_be_read_alone() -> None:
    (record,) = unpack_records(pack_records(RECORDS), 2)
    assert record.entry.id == "c"
    assert isinstance(record.result, AtomsTooClose)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and all(map(same, one, other))
    if is_dataclass(one):
        return type(one) is type(other) and all(
            same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)
        )
    return bool(one == other)


@pytest.mark.parametrize(
    "optimizer",
    [
        Fire(RNG.normal(size=(5, 3)), 0.2, 0.3, 4),
        Fire(),
        Lbfgs([(RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3)), 0.1)], (np.ones(2), np.ones(3))),
        Lbfgs(),
        ScaledLbfgs(*([(RNG.normal(size=(5, 3)),) * 2 + (0.1,)], (np.ones(2), np.ones(3)))),
        Internal(),
        Internal(
            find_primitives(CRYSTAL),
            CRYSTAL.positions,
            Pairs(*RNG.normal(size=(2, 3, 6)), RNG.normal(size=(3, 3))),
            (np.ones(6), np.zeros(6)),
        ),
    ],
)
def test_states_of_relaxations(optimizer: Optimizer) -> None:
    rows = RNG.normal(size=(5, 3))
    state = RelaxationState(rows, 3, optimizer, rows + 1, PREDICTION, 0.5, PREDICTION)
    again = unpack(pack(state))
    assert same(again.x, state.x)
    assert same(again.sound, state.sound)
    assert (again.steps, again.fmax) == (3, 0.5)
    assert type(again.optimizer) is type(optimizer)
    for name in type(optimizer).__dataclass_fields__:  # type: ignore[attr-defined]
        assert same(getattr(again.optimizer, name), getattr(optimizer, name))


def dataclasses_of(kind: Any) -> set[type]:
    """All dataclasses in the fields of one, and in theirs, but for those that are not kept."""
    found: set[type] = set()
    waiting = [kind]
    while waiting:
        one = waiting.pop()
        waiting += get_args(one)
        if is_dataclass(one) and one not in found:
            assert isinstance(one, type)
            found.add(one)
            dropped = DROPPED.get(one.__name__, ())
            waiting += [v for name, v in get_type_hints(one).items() if name not in dropped]
    return found


def test_all_that_results_are_made_of_is_known() -> None:
    for kind in (Entry, Answered, RelaxationState):
        assert dataclasses_of(kind) <= set(CLASSES.values())


def test_what_is_not_known_is_not_kept() -> None:
    with pytest.raises(TypeError, match="object"):
        pack(object())
    assert isinstance(unpack(pack(Overloaded("full"))), Overloaded)


def test_what_a_task_found_is_told_as_if_it_had_not_been_kept() -> None:
    value = ScanValue(
        coordinate="distance",
        atoms=[0, 1],
        values_A=[1.0, 1.1],
        energies_eV=[None, 1.0 / 3.0],
        relative_energies_eV=[None, 0.0],
        barrier_eV=0.0,
        lowest=1,
        highest=1,
        positions_A=[None, [[0.0, 0.0, 0.0], [0.0, 0.0, 1.1]]],
        symbols=["Ar", "Ar"],
        relaxations=3,
    )
    kept = unpack(pack(Answered(PREDICTION, RELAXED, (), value))).value
    assert kept.model_dump(mode="json", exclude_none=True) == value.model_dump(
        mode="json", exclude_none=True
    )
