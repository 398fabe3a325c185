"""Made-up structures hold all elements, at distances that no model minds."""

import numpy as np
import pytest

from app.atoms.neighbors import build_graph
from app.backends.synthetic import lattice_piece
from app.store.card import ModelCard


@pytest.mark.parametrize("periodic", [True, False])
def test_as_many_atoms_as_wanted_of_all_elements(pair_card: ModelCard, periodic: bool) -> None:
    structure = lattice_piece(pair_card, 27, periodic)
    assert len(structure) == 27
    assert structure.is_bulk is periodic
    assert set(structure.symbols) == set(pair_card.elements)
    vectors = build_graph(structure, pair_card.cutoff).edge_vectors()
    widest = max(parameters.sigma for parameters in pair_card.pair.values())
    assert np.linalg.norm(vectors, axis=1).min() == pytest.approx(widest)
