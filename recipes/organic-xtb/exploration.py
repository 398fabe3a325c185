"""What a model does with a molecule: relaxations and dynamics, and how sure it is of each frame."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.data import covalent_radii
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import LBFGS
from complexes import Body, placed
from force_field import Array, ForceField, embed
from molecules import Molecule, uniform

from app.atoms.neighbors import build_graph
from app.atoms.prediction import split
from app.atoms.uncertainty import forces_spread
from app.formats.ase_atoms import from_ase
from app.integrations.ase import EquipotCalculator

TEMPERATURES = (300.0, 1000.0)  # K
TIMESTEP, FRICTION = 0.5, 0.02  # fs, 1/fs
BLOCKS, INTERVAL = 10, 40  # recorded frames of a trajectory, and steps between them
RELAXATION, RELAXATION_INTERVAL = 80, 8  # steps
DIMERS = 0.35  # of what is explored
WILDEST = 0.5  # of the sum of covalent radii; closer atoms end a trajectory


@dataclass(frozen=True)
class Explorer:
    """What a worker opens, and does with a molecule.

    Attributes:
        models: `name@version` of one model or more; the first one moves the atoms.
        store: folder of the models.
        round: number of the round; another one explores other geometries.
    """

    models: tuple[str, ...]
    store: Path
    round: int

    def __call__(self) -> Callable[[Molecule], list[dict[str, Any]]]:
        """Open the models; called once in every worker."""
        opened = [EquipotCalculator(model, self.store, threads=1) for model in self.models]
        return partial(explore, opened, self.round)


def explore(
    models: list[EquipotCalculator], round_: int, molecule: Molecule
) -> list[dict[str, Any]]:
    """Frames of one relaxation and one trajectory of a molecule, or of it with its partner.

    Returns:
        For each frame `numbers`, `positions` (Å), `info` and `uncertainty` (eV/Å), which is the
        largest standard deviation of the force on an atom.
    """
    rng = np.random.default_rng(int(uniform(molecule.smiles, f"active {round_}") * 2**48))
    start, partner = _start(molecule, rng)
    temperature = round(rng.uniform(*TEMPERATURES))
    names = [molecule.smiles, *[partner] * bool(partner)]
    info = {
        "molecule": ".".join(names),
        "source": molecule.source,
        "charge": start.info["charge"],
        "split": molecule.split,
        **({"scaffold": molecule.scaffold} if molecule.scaffold else {}),
        "round": round_,
    }
    found = []
    for kind, more, frames in (
        ("active relaxation", {}, _relaxation(start.copy(), models[0])),
        (
            "active dynamics",
            {"temperature": temperature},
            _dynamics(start, models[0], temperature, rng),
        ),
    ):
        for atoms in frames:
            found.append(
                {
                    "numbers": atoms.numbers.tolist(),
                    "positions": (atoms.positions - atoms.positions.mean(axis=0)).round(6).tolist(),
                    "info": {**info, "kind": kind, **more},
                    "uncertainty": uncertainty(models, atoms),
                }
            )
    return found


def uncertainty(models: list[EquipotCalculator], atoms: Atoms) -> float:
    """eV/Å, of the atom whose force is least certain.

    The model's own where it states one (`forces_std`), else how far the forces of several models
    deviate from their mean.

    Raises:
        ValueError: one model alone that states none.
    """
    structure = from_ase(atoms)
    graph = build_graph(structure, models[0].backend.card.cutoff)
    (own,) = split(models[0].backend(graph), graph)
    if own.forces_std is not None:
        return float(own.forces_std.max())
    if len(models) == 1:
        raise ValueError(
            f"{models[0].backend.card.reference} states no uncertainty: give a second model, or a committee"
        )
    forces = [_forces(model, atoms) for model in models]
    return float(forces_spread(np.array(forces)).max())


def _forces(model: EquipotCalculator, atoms: Atoms) -> Array:
    graph = build_graph(from_ase(atoms), model.backend.card.cutoff)
    (prediction,) = split(model.backend(graph), graph)
    assert prediction.forces is not None
    return prediction.forces


def _start(molecule: Molecule, rng: np.random.Generator) -> tuple[Atoms, str]:
    """A new conformer, near its partner in some of the cases."""
    field = ForceField(embed(molecule.smiles, 1, seed=int(rng.integers(2**31))))
    body = Body.at(field, field.minimise(0))
    partner = molecule.partner if rng.random() < DIMERS else ""
    if partner:
        other = Body.of(partner, rng)
        body = body.joined(other, placed(body, other, "contact", rng)[1])
    return Atoms(body.numbers, body.positions, info={"charge": body.charge}), partner


def _relaxation(atoms: Atoms, model: EquipotCalculator) -> Iterator[Atoms]:
    """Every eighth step of a relaxation, and its end."""
    atoms.calc = model
    optimizer = LBFGS(atoms, logfile=None, maxstep=0.1)
    for steps in range(RELAXATION_INTERVAL, RELAXATION + 1, RELAXATION_INTERVAL):
        converged = optimizer.run(fmax=0.03, steps=steps)
        if _is_wild(atoms):
            return
        yield _copy(atoms)
        if converged:
            return


def _dynamics(
    atoms: Atoms, model: EquipotCalculator, temperature: float, rng: np.random.Generator
) -> Iterator[Atoms]:
    atoms.calc = model
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=rng)
    integrator = Langevin(
        atoms,
        TIMESTEP * units.fs,
        temperature_K=temperature,
        friction=FRICTION / units.fs,
        fixcm=False,
        rng=rng,
    )
    for _ in range(BLOCKS):
        integrator.run(INTERVAL)
        if _is_wild(atoms):
            return
        yield _copy(atoms)


def _is_wild(atoms: Atoms) -> bool:
    """Whether atoms have fallen into each other, which no label is worth."""
    radii = covalent_radii[atoms.numbers]
    distances = atoms.get_all_distances() + np.diag(np.full(len(atoms), np.inf))
    return not bool((distances / (radii[:, None] + radii)).min() > WILDEST)


def _copy(atoms: Atoms) -> Atoms:
    return Atoms(atoms.numbers, atoms.positions, info={"charge": atoms.info["charge"]})
