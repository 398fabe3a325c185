"""All geometries of one entry of the list of molecules."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from assignment import may_be_in
from complexes import Body, placed
from distortions import Piece, cuts, piece, stretched, turned
from exclusion import Exclusion
from force_field import Array, ForceField, Modes, Skipped, embed
from identity import scaffold, skeleton
from molecules import ATOM, DIATOMIC, Molecule
from rdkit import Chem
from reference import dynamics, gfn2, relaxation

TEMPERATURES = (300.0, 1200.0)  # K
ROOM = 300.0  # K, of geometries that are distorted further
MEDIUM, LARGE = 40, 60  # atoms; larger molecules have fewer frames
SOLVATED, SOLVENT = 24, 16  # atoms of the molecule, and of its partners, in clusters
FRAGMENTS, CLUSTERS = 0.3, 0.4  # of the molecules that may
TINY = 8  # atoms, of molecules that are stretched and pressed more often
SHAKEN = 15  # more samples of their normal modes: all that is learnt of such bonds is theirs
RELAXED, FOLLOWED = 2.6, 1.3  # over the number of atoms: the share of molecules
LENGTHS = np.geomspace(0.4, 3.0, 24)  # Å, of diatomics
ATOM_CHARGES = {"H": (-1,), "C": (0,), "O": (0,), "S": (0,)}
"""Closed shells of single atoms; others as cations and anions. A bare proton has no electrons."""


@dataclass(frozen=True)
class Frame:
    """One geometry.

    Attributes:
        kind: how it was made.
        numbers: (N,) atomic numbers.
        positions: (N, 3) | Å.
        charge: in elementary charges.
        partner: SMILES of the other molecules in a complex.
        more: further facts for `info`.
    """

    kind: str
    numbers: list[int]
    positions: Array
    charge: int
    partner: str = ""
    more: dict[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (sum(self.numbers) - self.charge) % 2:
            raise ValueError(f"{self.kind} of charge {self.charge} has an odd number of electrons")

    def atoms(self, molecule: Molecule) -> Atoms:
        """With molecule, source, kind, charge, split and scaffold in `info`."""
        names = [molecule.smiles, *[self.partner] * bool(self.partner)]
        info = {
            "molecule": ".".join(names),
            "source": molecule.source,
            "kind": self.kind,
            "charge": self.charge,
            "split": molecule.split,
            **({"scaffold": molecule.scaffold} if molecule.scaffold else {}),
            **self.more,
        }
        return Atoms(self.numbers, self.positions - self.positions.mean(axis=0), info=info)


class Sampler:
    """Draws the geometries of one molecule; what cannot be made is listed in `failures`."""

    def __init__(self, molecule: Molecule, excluded: Exclusion) -> None:
        self.molecule = molecule
        self._excluded = excluded
        self.failures: list[str] = []
        self._rng = np.random.default_rng(int(molecule.rank * 2**48))

    def frames(self) -> list[Frame]:
        """All of them.

        Raises:
            Skipped: no conformer could be embedded.
        """
        if self.molecule.source == DIATOMIC:
            return list(_diatomic(self.molecule.smiles.split("-")))
        if self.molecule.source == ATOM:
            return list(_atom(self.molecule.smiles.split()[0]))
        return list(self._molecule())

    def _molecule(self) -> Iterator[Frame]:
        size = self.molecule.size
        field_ = ForceField(embed(self.molecule.smiles, 1 if size > LARGE else 3))
        raw = field_.positions(field_.chemical.GetNumConformers() - 1)
        yield self._frame("conformer", field_, raw)
        minima = [field_.minimise(c) for c in range(field_.chemical.GetNumConformers())]
        yield self._frame("force-field minimum", field_, minima[0])
        modes = [field_.modes(minimum) for minimum in minima]
        for index in range(2 if size > MEDIUM else 3):
            yield from self._thermal(field_, modes[index % len(modes)])
        start = self._warm(field_, modes[0])
        yield from self._distorted(field_, start)
        yield from self._complexes(field_, start)
        yield from self._relaxed(field_, minima[0], modes[0])
        yield from self._followed(field_, start)
        if size <= TINY:
            for index in range(SHAKEN):
                yield from self._thermal(field_, modes[index % len(modes)])

    def _thermal(self, field_: ForceField, modes: Modes) -> Iterator[Frame]:
        temperature = round(self._rng.uniform(*TEMPERATURES))
        try:
            positions = modes.draw(temperature, self._rng, field_.bonds)
        except Skipped as reason:
            self.failures.append(f"thermal: {reason}")
            return
        yield self._frame("thermal", field_, positions, temperature=temperature)

    def _warm(self, field_: ForceField, modes: Modes) -> Array:
        try:
            return np.asarray(modes.draw(ROOM, self._rng, field_.bonds))
        except Skipped:
            return np.asarray(modes.minimum)  # a cage in which all modes are stiff, or a clash

    def _distorted(self, field_: ForceField, start: Array) -> Iterator[Frame]:
        found = cuts(field_.chemical)
        try:
            positions = turned(field_.chemical, start, field_.bonds, self._rng)
        except Skipped as reason:
            self.failures.append(f"torsion: {reason}")
        else:
            if positions is not None:
                yield self._frame("torsion", field_, positions)
        kinds = ["pressed" if self._rng.random() < 0.4 else "stretched"]
        for kind in [*kinds, *["stretched", "pressed"] * (self.molecule.size <= TINY)]:
            positions = stretched(found, start, self._rng, kind == "pressed")
            if positions is not None:
                yield self._frame(kind, field_, positions)
        if self._rng.random() < FRAGMENTS:
            part = piece(field_.chemical, found, start, self._rng)
            if part is not None and self._may_have(field_.chemical, part):
                yield Frame("fragment", part.numbers, part.positions, part.charge)

    def _may_have(self, chemical: Chem.Mol, part: Piece) -> bool:
        graphs = (skeleton(chemical, part.indices), scaffold(chemical, part.indices))
        return may_be_in(self.molecule.split, *graphs, self._excluded)

    def _complexes(self, field_: ForceField, start: Array) -> Iterator[Frame]:
        partner = self.molecule.partner
        if not partner or self.molecule.size > LARGE:
            return
        body, other = Body.at(field_, start), Body.of(partner, self._rng)
        count = 1 + int(self._rng.random() < 0.4)
        for distance in self._rng.choice(["contact", "pressed", "far"], count, p=[0.5, 0.25, 0.25]):
            arrangement, positions = placed(body, other, distance, self._rng)
            yield _complex(f"dimer {distance}", [body, other], positions, partner, arrangement)
        small = self.molecule.size <= SOLVATED and len(other.numbers) <= SOLVENT
        if small and self._rng.random() < CLUSTERS:
            yield from self._cluster(body, other, partner)

    def _cluster(self, body: Body, other: Body, partner: str) -> Iterator[Frame]:
        """Two to four copies of the partner, of two at most where it is charged, around the body."""
        names, grown = [], body
        for _ in range(self._rng.integers(2, 5)):
            if abs(grown.charge + other.charge) > 2:
                break
            _, positions = placed(grown, other, "contact", self._rng)
            grown = grown.joined(other, positions)
            names.append(partner)
        if len(names) > 1:
            yield Frame("cluster", grown.numbers, grown.positions, grown.charge, ".".join(names))

    def _relaxed(self, field_: ForceField, start: Array, modes: Modes) -> Iterator[Frame]:
        if self._rng.random() > RELAXED / self.molecule.size:
            return
        atoms = gfn2(field_.numbers, start, self.molecule.charge)
        try:
            found = relaxation(atoms)
        except Exception as error:  # the reference raises anything
            self.failures.append(f"relaxation: {type(error).__name__}: {error}")
            return
        for kind, positions in found:
            yield self._frame(kind, field_, positions)
        yield from self._thermal(field_, modes.at(found[-1][1]))

    def _followed(self, field_: ForceField, start: Array) -> Iterator[Frame]:
        if self._rng.random() > FOLLOWED / self.molecule.size:
            return
        temperature = round(self._rng.uniform(*TEMPERATURES))
        atoms = gfn2(field_.numbers, start, self.molecule.charge)
        try:
            trajectory = dynamics(atoms, temperature, self._rng)
        except Exception as error:  # the reference raises anything
            self.failures.append(f"dynamics: {type(error).__name__}: {error}")
            return
        for positions in trajectory:
            yield self._frame("dynamics", field_, positions, temperature=temperature)

    def _frame(self, kind: str, field_: ForceField, positions: Array, **more: float | str) -> Frame:
        return Frame(kind, field_.numbers, positions, self.molecule.charge, more=more)


def _complex(
    kind: str, bodies: list[Body], positions: Array, partner: str, arrangement: str
) -> Frame:
    joined = bodies[0].joined(bodies[1], positions)
    more: dict[str, float | str] = {"arrangement": arrangement}
    return Frame(kind, joined.numbers, joined.positions, joined.charge, partner, more)


def _diatomic(elements: list[str]) -> Iterator[Frame]:
    """A pair of atoms at all `LENGTHS`: neutral, or as cation and anion where that is a radical."""
    numbers = [atomic_numbers[element] for element in elements]
    for charge in (1, -1) if sum(numbers) % 2 else (0,):
        for length in LENGTHS:
            if sum(numbers) > charge:
                yield Frame("diatomic", numbers, np.array([[0, 0, 0], [0, 0, length]]), charge)


def _atom(element: str) -> Iterator[Frame]:
    for charge in ATOM_CHARGES.get(element, (1, -1)):
        yield Frame("atom", [atomic_numbers[element]], np.zeros((1, 3)), charge)
