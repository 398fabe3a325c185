"""A few frames with what a model may say about them, by hand."""

import numpy as np

from app.atoms.structure import Structure
from app.training.data.frames import LabelledFrame
from app.training.evaluation.errors import Values


def frame(numbers: list[int], energy: float, forces: bool = True, **info: object) -> LabelledFrame:
    """Atoms in a row; no forces act on them, or none is known."""
    structure = Structure(np.array(numbers), 3.0 * np.arange(3 * len(numbers)).reshape(-1, 3))
    value = 0.0 if forces else np.nan
    return LabelledFrame(
        structure, energy, np.full((len(numbers), 3), value), None, "made.xyz", 0, dict(info)
    )


FRAMES = [
    frame([10], -1.0, name="a"),
    frame([18, 10], -9.0, name="b"),
    frame([10, 18], -9.0, forces=False, name="b"),
    frame([10], -1.0, name="b"),
]


PREDICTED = Values(
    energy=np.array([-0.998, -9.006, -8.998, -1.0]),
    forces=np.array([[0, 0, 0.003], [0, 0, 0], [0.006, 0, 0], [1, 1, 1], [1, 1, 1], [0, 0, 0]]),
    stress=np.full((4, 3, 3), np.nan),
)


def committee(count: int, factor: float) -> tuple[Values, list[LabelledFrame]]:
    """Normal errors, `factor` times as large as a committee says."""
    random = np.random.default_rng(0)
    frames = [frame([10, 18], 0.0) for _ in range(count)]
    force_std, energy_std = (
        np.exp(random.normal(-3, 1, 2 * count)),
        np.exp(random.normal(-3, 1, count)),
    )
    forces = factor * random.normal(size=(2 * count, 3)) * force_std[:, None] / np.sqrt(3)
    energy = factor * random.normal(size=count) * energy_std
    return Values(energy, forces, np.full((count, 3, 3), np.nan), energy_std, force_std), frames
