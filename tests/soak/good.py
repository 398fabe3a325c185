"""What well-behaved clients send, and what each of them is to get."""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import ormsgpack
from ase import Atoms
from ase.build import bulk, fcc111, graphene, molecule

from app.atoms.structure import Floats, Structure
from app.engine.limits import BatchLimits
from app.engine.load import load_potential
from app.engine.potential import Potential, PotentialOptions
from app.formats.ase_atoms import from_ase
from app.relax import RelaxOptions, relax
from app.store.card import ModelCard
from app.store.certificate import Deviations
from app.store.store import StoredModel
from benchmarks.structures import aspirin
from tests.soak.wire import MEDIA, RELAX, WRITERS

EXACT = Deviations(energy_per_atom=1e-10, forces=1e-9, stress=1e-10)
"""Tolerance of a model in float64 whose card has no certificate."""
RELAXED = 2e-3
"""eV, between a relaxed energy and that of the same relaxation alone: one that stops a step earlier
is as good.
"""


@dataclass(frozen=True)
class Expected:
    """What one structure gets alone: energy (eV), forces (eV/Å), energy once relaxed (eV)."""

    energy: float
    forces: Floats
    relaxed: float | None


@dataclass(frozen=True)
class Good:
    """A request that is to be answered, with the answer by each version of its model.

    Attributes:
        name: what it is called in reports.
        content: the HTTP request.
        kind: `json`, `xyz` or `msgpack`.
        expected: by `name@version`, of each of its structures.
        tolerance: of energies and forces.
    """

    name: str
    content: bytes
    kind: str
    expected: dict[str, list[Expected]]
    tolerance: Deviations

    def fault(self, reference: str, content: bytes) -> str:
        """What is wrong with an answer by a model; empty if nothing is."""
        if reference not in self.expected:
            return f"answered by {reference}"
        wanted, actual = self.expected[reference], READERS[self.kind](content)
        if len(actual) != len(wanted):
            return f"{len(actual)} results for {len(wanted)} structures"
        return "; ".join(filter(None, map(self._difference, wanted, actual)))

    def _difference(self, wanted: Expected, actual: Expected) -> str:
        atoms = len(wanted.forces)
        if not abs(actual.energy - wanted.energy) <= self.tolerance.energy_per_atom * atoms:
            return f"energy {actual.energy} instead of {wanted.energy} eV"
        if wanted.relaxed is not None:
            if actual.relaxed is None or not abs(actual.relaxed - wanted.relaxed) <= RELAXED:
                return f"relaxed energy {actual.relaxed} instead of {wanted.relaxed} eV"
            return ""
        largest = float(np.abs(actual.forces - wanted.forces).max())
        return "" if largest <= self.tolerance.forces else f"forces differ by {largest} eV/Å"


def structures(card: ModelCard) -> Iterator[tuple[str, Structure, bool]]:
    """Molecules, crystals and slabs of a model's elements, and whether they are relaxed, too."""
    kinds = organic() if "C" in card.elements else noble()
    for seed, (name, atoms, relaxed) in enumerate(kinds):
        atoms.positions += np.random.default_rng(seed).normal(0, 0.03, (len(atoms), 3))
        yield name, from_ase(atoms), relaxed


def organic() -> Iterator[tuple[str, Atoms, bool]]:
    """What is made of H, C and O."""
    for name in ("H2O", "CH3CH2OH", "C6H6"):
        yield name, molecule(name), True
    yield "aspirin", aspirin(), False
    methane = molecule("CH4", cell=[4.4] * 3, pbc=True)
    yield "methane crystal", methane * (2, 2, 1), False
    yield "graphene", graphene(size=(3, 3, 1), vacuum=8.0), False


def noble() -> Iterator[tuple[str, Atoms, bool]]:
    """What is made of argon."""
    crystal = bulk("Ar", "fcc", a=5.3, cubic=True) * (2, 2, 2)
    cluster = Atoms(crystal.symbols, crystal.positions)
    yield "argon dimer", Atoms("Ar2", [[0, 0, 0], [0, 0, 3.9]]), True
    yield "argon cluster", cluster, True
    yield "argon crystal", crystal, True
    yield "argon slab", fcc111("Ar", (3, 3, 3), a=5.3, vacuum=10.0), True


def good_requests(versions: Sequence[StoredModel]) -> list[Good]:
    """A model's structures in all formats, alone and several together, with their answers."""
    card = versions[0].card
    tolerance = card.certificate.tolerance if card.certificate else EXACT
    known = list(structures(card))
    asked = [
        (name, [structure], relaxed) for name, structure, may in known for relaxed in {False, may}
    ]
    asked.append(("all together", [structure for _, structure, _ in known], False))
    made = []
    for name, some, relaxed in asked:
        expected = {f"{v.card.name}@{v.card.version}": alone(v, some, relaxed) for v in versions}
        for kind in MEDIA:
            content = WRITERS[kind](card.name, some, relaxed)
            shown = f"{card.name}: {name}, {kind}{', relaxed' if relaxed else ''}"
            made.append(Good(shown, content, kind, expected, tolerance))
    return made


def alone(model: StoredModel, some: Sequence[Structure], relaxed: bool) -> list[Expected]:
    """What a model answers to each structure by itself, without a service."""

    async def ask() -> list[Expected]:
        batch = BatchLimits(atoms=10_000, edges=1_000_000, structures=64)
        potential = load_potential(model, PotentialOptions(batch=batch, threads=1))
        potential.start()
        try:
            return [await _expected(potential, one, relaxed) for one in some]
        finally:
            await potential.stop()

    return asyncio.run(ask())


async def _expected(potential: Potential, structure: Structure, relaxed: bool) -> Expected:
    with potential.admission.admit(1, len(structure)):
        if not relaxed:
            prediction = await potential.predict(structure)
            return Expected(prediction.energy, prediction.forces, None)
        ended = await relax(potential, structure, RelaxOptions(**RELAX))
    return Expected(ended.initial.energy, ended.initial.forces, ended.prediction.energy)


def _read_document(document: dict[str, Any], array: Callable[[Any], Floats]) -> list[Expected]:
    return [
        Expected(
            r["energy"], array(r["forces"]), r["relaxed"]["energy"] if "relaxed" in r else None
        )
        for r in document["results"]
    ]


def _read_xyz(content: bytes) -> list[Expected]:
    lines, frames = content.decode().splitlines(), []
    while lines:
        atoms, comment = int(lines[0]), lines[1]
        energies = dict(re.findall(r"\b(initial_energy|energy)=(\S+)", comment))
        rows = np.array([line.split()[1:] for line in lines[2 : 2 + atoms]], dtype=float)
        relaxed = float(energies["energy"]) if "initial_energy" in energies else None
        frames.append(
            Expected(
                float(energies.get("initial_energy", energies["energy"])), rows[:, 3:6], relaxed
            )
        )
        del lines[: 2 + atoms]
    return frames


def _array(value: dict[str, Any]) -> Floats:
    return np.frombuffer(value["data"], value["dtype"]).reshape(value["shape"])


READERS: dict[str, Callable[[bytes], list[Expected]]] = {
    "json": lambda content: _read_document(orjson.loads(content), np.array),
    "xyz": _read_xyz,
    "msgpack": lambda content: _read_document(ormsgpack.unpackb(content), _array),
}
