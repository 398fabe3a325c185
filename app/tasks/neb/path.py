"""One path on its way to that of least energy."""

from dataclasses import dataclass, replace

import numpy as np

from app.atoms.structure import Floats, Structure
from app.errors import EquipotError
from app.relax.optimizers import Fire
from app.relax.rows import Rows, first_rows
from app.tasks.asking import Asking, Count
from app.tasks.neb.band import band_forces, highest
from app.tasks.neb.options import NebOptions

CLIMB_BELOW = 0.5
"""eV/Å that are left when the highest image begins to climb."""
IMAGES = "images"


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """K images of N atoms, the ends included.

    Attributes:
        positions: (K, N, 3), Å.
        energies: (K,), eV.
        fmax: eV/Å, the longest force that is left.
        steps: that were made.
        climbs: whether the highest image does.
        reason: `converged`, `steps`, or `stopped: …`.
    """

    positions: Floats
    energies: Floats
    fmax: float
    steps: int
    climbs: bool
    reason: str

    @property
    def converged(self) -> bool:
        """Whether no force is left, and the image that is to climb did."""
        return self.reason == "converged"

    @property
    def highest(self) -> int:
        """Number of the highest image between the ends."""
        return highest(self.energies)


async def found(
    asking: Asking,
    start: Structure,
    positions: Floats,
    ends: tuple[float, float],
    options: NebOptions,
    steps: int,
    count: Count,
) -> Path:
    """Move a path until no force across it is left, by FIRE on all of its images at once.

    Args:
        asking: the model.
        start: the first image.
        positions: (K, N, 3), Å, of all images.
        ends: eV, of the first and the last one.
        options: how.
        steps: most of them.
        count: of the images that were evaluated, of all paths.

    Raises:
        EquipotError: an image cannot be evaluated before the first step.
    """
    moving_images, atoms = len(positions) - 2, len(start)
    rows, memory = Rows(np.array([moving_images * atoms])), Fire()
    made, climbs, path = 0, False, None
    while True:
        images = [start.at(each) for each in positions[1:-1]]
        try:
            predictions = await asking.predict(images, IMAGES, count)
        except EquipotError as error:
            if path is None:
                raise
            return replace(path, reason=f"stopped: {error}")
        energies = np.array([ends[0], *(p.energy for p in predictions), ends[1]])
        forces = np.array([p.forces for p in predictions])
        if start.fixed is not None:
            forces[:, start.fixed] = 0.0
        bound = (options.spring_eV_per_A2, climbs)
        moving = band_forces(positions, energies, forces, *bound)
        fmax = float(np.linalg.norm(moving, axis=2).max())
        if options.climb and not climbs and fmax < max(CLIMB_BELOW, options.path_fmax_eV_per_A):
            climbs = True
            moving = band_forces(positions, energies, forces, options.spring_eV_per_A2, climbs)
            fmax = float(np.linalg.norm(moving, axis=2).max())
        path = Path(positions, energies, fmax, made, climbs, "steps")
        if fmax < options.path_fmax_eV_per_A:
            return replace(path, reason="converged")
        if made >= steps:
            return path
        x = first_rows(positions[1:-1].reshape(-1, 3))
        pushed = np.concatenate([moving.reshape(-1, 3), np.zeros((3, 3))])
        x = x + Fire.moves([memory], x, pushed, rows, [start])
        positions = np.concatenate(
            [positions[:1], x[:-3].reshape(moving_images, atoms, 3), positions[-1:]]
        )
        made += 1
