"""What a model does with a molecule: relaxations and dynamics, and how sure it is of each frame."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.data import covalent_radii
from ase.md.langevin import Langevin
from ase.optimize import LBFGS
from complexes import Body, placed
from force_field import ForceField, embed
from molecules import Molecule, uniform
from reference import thermalise

from app.atoms.neighbors import build_graph
from app.atoms.prediction import StructurePrediction, split
from app.atoms.uncertainty import forces_spread
from app.formats.ase_atoms import from_ase
from equipot import AtomsTooClose, EquipotCalculator

TEMPERATURES = (300.0, 1000.0)  # K
TIMESTEP, FRICTION = 0.5, 0.02  # fs, 1/fs
BLOCKS, INTERVAL = 10, 40  # recorded frames of a trajectory, and steps between them
RELAXATION, RELAXATION_INTERVAL = 80, 8  # steps
FMAX = 0.03  # eV/Å, where a relaxation ends
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
    info = {**_facts(molecule, partner), "charge": start.info["charge"], "round": round_}
    relaxed = {**info, "kind": "active relaxation"}
    moved = {**info, "kind": "active dynamics", "temperature": temperature}
    frames = [(relaxed, atoms) for atoms in _relaxation(start.copy(), models[0])]
    frames += [(moved, atoms) for atoms in _dynamics(start, models[0], temperature, rng)]
    return [_recorded_frame(models, facts, atoms) for facts, atoms in frames]


def uncertainty(models: list[EquipotCalculator], atoms: Atoms) -> float:
    """eV/Å, of the atom whose force is least certain.

    The model's own where it states one (`forces_std`), else how far the forces of several models
    deviate from their mean.

    Raises:
        ValueError: one model alone that states none.
    """
    predictions = [_predicted(model, atoms) for model in models]
    if predictions[0].forces_std is not None:
        return float(predictions[0].forces_std.max())
    if len(models) == 1:
        raise ValueError(
            f"{models[0].asked.model.backend.card.reference} states no uncertainty: give a second model, or a committee"
        )
    return float(forces_spread(np.array([each.forces for each in predictions])).max())


def _predicted(model: EquipotCalculator, atoms: Atoms) -> StructurePrediction:
    backend = model.asked.model.backend
    graph = build_graph(from_ase(atoms), backend.card.cutoff)
    (prediction,) = split(backend(graph), graph)
    return prediction


def _facts(molecule: Molecule, partner: str) -> dict[str, Any]:
    """What `info` says of a frame besides how it was made."""
    names = [molecule.smiles, *[partner] * bool(partner)]
    facts = {"molecule": ".".join(names), "source": molecule.source, "split": molecule.split}
    return facts | ({"scaffold": molecule.scaffold} if molecule.scaffold else {})


def _recorded_frame(
    models: list[EquipotCalculator], info: dict[str, Any], atoms: Atoms
) -> dict[str, Any]:
    return {
        "numbers": atoms.numbers.tolist(),
        "positions": (atoms.positions - atoms.positions.mean(axis=0)).round(6).tolist(),
        "info": info,
        "uncertainty": uncertainty(models, atoms),
    }


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
    steps = range(RELAXATION_INTERVAL, RELAXATION + 1, RELAXATION_INTERVAL)
    yield from _recorded(atoms, (partial(optimizer.run, fmax=FMAX, steps=step) for step in steps))


def _dynamics(
    atoms: Atoms, model: EquipotCalculator, temperature: float, rng: np.random.Generator
) -> Iterator[Atoms]:
    atoms.calc = model
    thermalise(atoms, temperature, rng)
    integrator = Langevin(
        atoms,
        TIMESTEP * units.fs,
        temperature_K=temperature,
        friction=FRICTION / units.fs,
        fixcm=False,
        rng=rng,
    )
    yield from _recorded(atoms, [partial(integrator.run, INTERVAL)] * BLOCKS)


def _recorded(atoms: Atoms, moves: Iterable[Callable[[], Any]]) -> Iterator[Atoms]:
    """A frame after each move, until one changes nothing or atoms fall into each other."""
    before = atoms.positions.copy()
    for move in moves:
        try:
            move()
        except AtomsTooClose:
            return
        if _is_wild(atoms) or (atoms.positions == before).all():
            return
        before = atoms.positions.copy()
        yield Atoms(atoms.numbers, atoms.positions, info={"charge": atoms.info["charge"]})


def _is_wild(atoms: Atoms) -> bool:
    """Whether atoms have fallen into each other, which no label is worth."""
    radii = covalent_radii[atoms.numbers]
    distances = atoms.get_all_distances() + np.diag(np.full(len(atoms), np.inf))
    return not bool((distances / (radii[:, None] + radii)).min() > WILDEST)
