"""A backend answers the probe of its card, or is refused."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from app.atoms.graph import Graph
from app.atoms.neighbors import build_graph
from app.atoms.prediction import Prediction, split
from app.backends import check_probe, load_backend
from app.backends.pair import PairBackend
from app.errors import CorruptModel
from app.store.card import ModelCard
from app.store.certificate import Deviations, Probe
from app.store.store import ModelStore
from tests.structures import random_crystal

TOLERANCE = Deviations(energy_per_atom=1e-8, forces=1e-8, stress=1e-8)


@pytest.fixture(scope="module")
def card(pair_card: ModelCard) -> ModelCard:
    """The pair model with a probe of all its elements."""
    structure = random_crystal(pair_card, (3, 2, 2), seed=5)
    structure = replace(structure, numbers=np.resize(pair_card.numbers, len(structure)))
    graph = build_graph(structure, pair_card.cutoff)
    (answer,) = split(PairBackend(pair_card)(graph), graph)
    assert answer.forces is not None
    probe = {
        "numbers": structure.numbers.tolist(),
        "positions": structure.positions.tolist(),
        "cell": structure.cell.tolist(),
        "pbc": structure.pbc.tolist(),
        "energy": answer.energy,
        "forces": answer.forces.tolist(),
        "tolerance": TOLERANCE,
    }
    return pair_card.model_copy(update={"probe": Probe.model_validate(probe)})


@dataclass
class Off:
    """The pair backend with answers that are a little off."""

    inner: PairBackend
    energy: float = 0.0
    forces: float = 0.0
    alone: float = 0.0

    @property
    def card(self) -> ModelCard:
        return self.inner.card

    def __call__(self, graph: Graph) -> Prediction:
        found = self.inner(graph)
        assert found.forces is not None
        return replace(found, energy=found.energy + self.energy, forces=found.forces + self.forces)

    def energies(self, graph: Graph) -> Prediction:
        found = self.inner.energies(graph)
        return replace(found, energy=found.energy + self.alone)


def test_one_that_answers_as_its_card_says_is_taken(card: ModelCard) -> None:
    check_probe(PairBackend(card))
    check_probe(Off(PairBackend(card), energy=1e-8, forces=1e-9))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ({"energy": 1e-3}, r"pairs@1 gives -?\d+\.\d{6} eV for its card's probe, which says"),
        ({"alone": -1e-3}, "they may differ by 1.2e-07 eV"),
        ({"forces": 1e-3}, "differ by 1.0e-03 eV/Å from those on the card"),
        ({"energy": np.nan}, "gives nan eV"),
        ({"forces": np.nan}, "differ by nan eV/Å"),
    ],
)
def test_one_that_does_not_is_refused(card: ModelCard, by: dict[str, float], message: str) -> None:
    with pytest.raises(CorruptModel, match=message):
        check_probe(Off(PairBackend(card), **by))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": [[0.0, 0.0, 0.0]] * 12}, "cannot answer its card's probe: atom 0 "),
        ({"numbers": [92] * 12}, "cannot answer its card's probe: atom 0 is U"),
    ],
)
def test_a_probe_that_cannot_be_answered_is_refused(
    card: ModelCard, change: dict[str, object], message: str
) -> None:
    assert card.probe is not None
    probe = Probe.model_validate({**card.probe.model_dump(), **change})
    with pytest.raises(CorruptModel, match=message):
        check_probe(PairBackend(card.model_copy(update={"probe": probe})))


@pytest.mark.parametrize(
    "change",
    [
        {"pair": "reversed"},
        {"cutoff": 5.0},
        {"atomic_energies": {"Ar": 1.0}},
    ],
)
def test_a_changed_card_with_new_digests_is_refused(
    card: ModelCard, tmp_path: Path, change: dict[str, object]
) -> None:
    parameters = list(card.pair.values())
    if change == {"pair": "reversed"}:
        change = {"pair": dict(zip(card.elements, parameters[::-1], strict=True))}
    store = ModelStore(tmp_path)
    with store.publish(card.model_copy(update=change)):
        pass
    with pytest.raises(CorruptModel, match="its card's probe"):
        load_backend(store.load("pairs"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"numbers": [18]}, "positions: shape"),
        ({"forces": []}, r"0 forces for 12 atoms"),
        ({"numbers": [119] * 12}, "less than or equal to 118"),
        ({"energy": float("nan")}, "finite number"),
        ({"cell": [[0.0, 0.0, 0.0]] * 3}, "cell"),
    ],
)
def test_a_probe_is_a_structure(card: ModelCard, change: dict[str, object], message: str) -> None:
    assert card.probe is not None
    with pytest.raises(ValidationError, match=message):
        Probe.model_validate({**card.probe.model_dump(), **change})
