"""A structure in pieces has the energy, forces and stress of the whole one."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from app.atoms.decomposition import Assembly, Cutter, Piece
from app.atoms.graph import Graph
from app.atoms.neighbors import build_graph
from app.atoms.prediction import Prediction, StructurePrediction, committee, split
from app.atoms.regions import Region
from app.atoms.structure import Structure
from app.backends import Backend, load_backend
from app.backends.pair import PairBackend
from app.errors import InvalidStructure, StructureTooLarge
from app.store.card import ModelCard
from app.store.store import ModelStore
from tests.contracts import assert_same, assert_same_energies
from tests.paths import MODEL_STORE
from tests.structures import SLAB, WIRE, random_crystal, random_molecule
from tests.tolerances import TOLERANCES


class Two(PairBackend):
    """A committee of two pair models, one of them twice as deep."""

    def __call__(self, graph: Graph) -> Prediction:
        one = super().__call__(graph)
        return committee(
            [one, Prediction(2 * one.energy, 2 * one.energies, 2 * one.forces, 2 * one.stress)]
        )

    def energies(self, graph: Graph) -> Prediction:
        one = super().energies(graph)
        return committee([one, Prediction(2 * one.energy, 2 * one.energies)])


@pytest.fixture(scope="module", params=["pair", "committee", "onnx"])
def backend(request: pytest.FixtureRequest, pair_card: ModelCard) -> Backend:
    if request.param == "onnx":
        return load_backend(ModelStore(MODEL_STORE).load("organic-xtb"))
    return {"pair": PairBackend, "committee": Two}[request.param](pair_card)


def cutter(
    structure: Structure,
    backend: Backend,
    most: int,
    edges: int = 10**6,
    fits: Callable[[Graph], bool] | None = None,
) -> Cutter:
    card = backend.card
    reach = (card.cutoff, card.receptive_field)
    return Cutter(
        Region.of(structure),
        *reach,
        backend.is_strictly_local,
        most,
        edges,
        fits or (lambda _: True),
    )


def pieces(cut: Cutter) -> list[Piece]:
    return list(iter(cut.next, None))


def in_pieces(structure: Structure, backend: Backend, most: int) -> StructurePrediction:
    whole = Assembly(len(structure), backend.is_strictly_local)
    parts = pieces(cutter(structure, backend, most))
    assert len(parts) >= len(structure) / most
    for piece in parts:
        (prediction,) = split(backend(piece.graph), piece.graph)
        whole.add(piece, prediction)
    return whole.prediction()


def at_once(structure: Structure, backend: Backend) -> StructurePrediction:
    graph = build_graph(structure, backend.card.cutoff)
    return split(backend(graph), graph)[0]


def structures(card: ModelCard) -> dict[str, tuple[Structure, int]]:
    """Each with the most atoms of a piece; the small cells are thinner than the cutoff."""
    turned = random_crystal(card, (3, 3, 3), seed=4, left_handed=True)
    skewed = turned.cell + np.array([[0, 0, 0], [3.0, 0, 0], [0, 0, 0]]) * turned.cell[0]
    return {
        "molecule": (random_molecule(card, 60, seed=1), 7),
        "ion": (replace(random_molecule(card, 60, seed=1), charge=1), 7),
        "thin cell": (random_crystal(card, (2, 2, 2), seed=2), 3),
        "one atom": (random_crystal(card, (1, 1, 1), seed=3), 1),
        "crystal": (random_crystal(card, (6, 4, 5), seed=5), 30),
        "skewed": (Structure(turned.numbers, turned.positions, skewed, turned.pbc), 5),
        "slab": (random_crystal(card, (4, 4, 2), seed=6, pbc=SLAB), 9),
        "wire": (random_crystal(card, (1, 5, 1), seed=7, pbc=WIRE), 2),
        "far away": (shifted(random_crystal(card, (2, 3, 2), seed=8, pbc=SLAB), 1e5), 5),
    }


def shifted(structure: Structure, by: float) -> Structure:
    return Structure(structure.numbers, structure.positions + by, structure.cell, structure.pbc)


@pytest.mark.parametrize(
    "kind",
    ["molecule", "ion", "thin cell", "one atom", "crystal", "skewed", "slab", "wire", "far away"],
)
def test_the_pieces_are_the_whole(backend: Backend, kind: str) -> None:
    structure, most = structures(backend.card)[kind]
    assert_same(
        in_pieces(structure, backend, most),
        at_once(structure, backend),
        TOLERANCES[backend.card.dtype],
    )


def test_energies_alone_have_no_other_sum(backend: Backend) -> None:
    structure, most = structures(backend.card)["crystal"]
    whole = Assembly(len(structure), backend.is_strictly_local)
    for piece in pieces(cutter(structure, backend, most)):
        whole.add(piece, split(backend.energies(piece.graph), piece.graph)[0])
    prediction = whole.prediction()
    assert_same_energies(prediction, at_once(structure, backend), TOLERANCES[backend.card.dtype])
    assert (prediction.forces, prediction.stress, prediction.member_forces) == (None, None, None)


def test_each_edge_and_each_atom_is_in_one_piece(backend: Backend) -> None:
    structure, most = structures(backend.card)["crystal"]
    parts = pieces(cutter(structure, backend, most))
    cores = np.concatenate([piece.atoms[: piece.core] for piece in parts])
    np.testing.assert_array_equal(np.sort(cores), np.arange(len(structure)))
    graph = build_graph(structure, backend.card.cutoff)
    assert sum(piece.edges for piece in parts) == len(graph.edge_reverse)
    assert sum(len(piece.graph.edge_reverse) for piece in parts) == len(graph.edge_reverse)


def test_what_does_not_fit_is_halved(backend: Backend) -> None:
    structure, _ = structures(backend.card)["crystal"]
    parts = pieces(
        cutter(structure, backend, 1000, fits=lambda graph: len(graph.edge_reverse) <= 1500)
    )
    assert len(parts) > 1
    assert all(len(piece.graph.edge_reverse) <= 1500 for piece in parts)


def test_a_piece_comes_again(backend: Backend) -> None:
    structure, _ = structures(backend.card)["slab"]
    cut = cutter(structure, backend, 10)
    first = cut.next()
    assert first is not None
    cut.put_back(first)
    again = cut.next()
    assert again is not None
    np.testing.assert_array_equal(again.atoms, first.atoms)


def test_atoms_that_are_too_close_are_named_as_in_the_structure(backend: Backend) -> None:
    structure, _ = structures(backend.card)["crystal"]
    positions = structure.positions.copy()
    positions[97] = positions[11] + [0.0, 0.1, 0.0] + structure.cell[1]
    overlapping = Structure(structure.numbers, positions, structure.cell, structure.pbc)
    with pytest.raises(InvalidStructure, match=r"atom 11 .* atom 97|atom 97 .* atom 11"):
        pieces(cutter(overlapping, backend, 10))


def test_more_neighbours_than_can_be_searched_for(backend: Backend) -> None:
    dense = Structure(
        np.full(1000, 1), 0.31 * np.stack(np.meshgrid(*[np.arange(10)] * 3), axis=-1).reshape(-1, 3)
    )
    with pytest.raises(StructureTooLarge, match="neighbour pairs"):
        pieces(cutter(dense, backend, 100, edges=10_000))
