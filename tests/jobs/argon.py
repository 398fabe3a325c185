"""Clusters of argon, which take some steps to relax."""

from typing import Any

import numpy as np

GRID = 3.8 * np.stack(np.meshgrid(*[np.arange(3)] * 3), axis=-1).reshape(-1, 3)


def cluster(number: int, atoms: int = 5) -> dict[str, Any]:
    """One of many, as JSON has it."""
    noise = np.random.default_rng(number).uniform(-0.3, 0.3, (atoms, 3))
    return {
        "id": f"cluster {number}",
        "symbols": ["Ar"] * atoms,
        "positions": (GRID[:atoms] + noise).tolist(),
    }


def clusters(count: int, atoms: int = 5) -> list[dict[str, Any]]:
    """So many of them."""
    return [cluster(number, atoms) for number in range(count)]
