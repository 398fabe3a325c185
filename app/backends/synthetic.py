"""Made-up structures of a model's elements, to warm up and measure with."""

import numpy as np

from app.atoms.structure import Structure
from app.store.card import ModelCard


def lattice_piece(card: ModelCard, atoms: int, periodic: bool) -> Structure:
    """`atoms` atoms of the card's elements on a cubic lattice.

    Its spacing is 2.5 Å, or more for large pair models.
    """
    spacing = max([2.5, *(p.sigma for p in card.pair.values())])
    side = int(np.ceil(atoms ** (1 / 3)))
    sites = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[
        :atoms
    ]
    return Structure(
        np.resize(card.numbers, atoms),
        np.asarray(spacing * sites, dtype=np.float64),
        side * spacing * np.eye(3) * periodic,
        np.full(3, periodic),
    )
