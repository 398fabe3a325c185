"""Dimers and small clusters: molecules placed at contact, pressed into each other, and far apart."""

from dataclasses import dataclass

import numpy as np
from ase.data.vdw_alvarez import vdw_radii
from force_field import Array, ForceField, Skipped, embed
from rdkit import Chem
from scipy.spatial.transform import Rotation

CONTACT, PRESSED, FAR = (0.85, 1.1), (0.6, 0.85), (1.15, 2.6)
"""Smallest distance between two molecules, in units of the sum of van der Waals radii."""
HYDROGEN_BOND = {"contact": (0.62, 0.8), "pressed": (0.45, 0.62), "far": (0.85, 1.8)}
RANGES = {"contact": CONTACT, "pressed": PRESSED, "far": FAR}
STACK_ATTEMPTS = 10
STACK = {"contact": (3.2, 4.0), "pressed": (2.5, 3.2), "far": (4.2, 7.0)}  # Å
DONORS = Chem.MolFromSmarts("[#1]-[#7,#8,#16,F,Cl,Br]")
ACCEPTORS = Chem.MolFromSmarts(
    "[$([#7;!+;!$(N~[*]=[O,S,N]);!$([nX3]);!$([NX4])]),O;!+,S;!+,F,Cl,Br,I]"
)
FARTHEST = 25.0  # Å


@dataclass(frozen=True)
class Body:
    """A molecule to place.

    Attributes:
        chemical: with all its hydrogens.
        numbers: (N,) atomic numbers.
        positions: (N, 3) | Å.
        charge: in elementary charges.
    """

    chemical: Chem.Mol
    numbers: list[int]
    positions: Array
    charge: int

    @classmethod
    def of(cls, smiles: str, rng: np.random.Generator) -> "Body":
        """A molecule near the minimum of its force field, at 300 K where that can be drawn."""
        field = ForceField(embed(smiles, 1))
        minimum = field.minimise(0)
        try:
            return cls.at(field, field.modes(minimum).draw(300.0, rng, field.bonds))
        except Skipped:
            return cls.at(field, minimum)

    @classmethod
    def at(cls, field: ForceField, positions: Array) -> "Body":
        """A molecule at given positions."""
        charge = Chem.GetFormalCharge(field.chemical)
        return cls(field.chemical, field.numbers, positions, charge)

    def joined(self, other: "Body", positions: Array) -> "Body":
        """Both as one body, the other one at given positions (M, 3) in Å."""
        chemical = Chem.CombineMols(self.chemical, other.chemical)
        Chem.FastFindRings(chemical)
        return Body(
            chemical,
            [*self.numbers, *other.numbers],
            np.vstack([self.positions, positions]),
            self.charge + other.charge,
        )


def placed(body: Body, partner: Body, distance: str, rng: np.random.Generator) -> tuple[str, Array]:
    """How a partner is placed beside a body, and its positions (M, 3) in Å.

    Half of those that can are bound by hydrogen bonds, half of those with two rings are stacked.

    Args:
        distance: `contact`, `pressed` or `far`.
    """
    if rng.random() < 0.5 and (bond := _hydrogen_bond(body, partner, rng)):
        donor, acceptor, axis = bond
        start = _turned(partner.positions - partner.positions[acceptor], rng)
        origin = body.positions[donor]
        return "hydrogen bond", _approached(
            body, partner, origin + start, axis, rng.uniform(*HYDROGEN_BOND[distance])
        )
    planes = [_ring_plane(item, rng) for item in (body, partner)]
    if planes[0] and planes[1] and rng.random() < 0.5:
        height = rng.uniform(*STACK[distance])
        stack = _stacked(body, partner, planes[0], planes[1], height, rng)
        if stack is not None:
            return "stack", stack
    axis = _direction(rng)
    start = _turned(partner.positions - partner.positions.mean(axis=0), rng)
    origin = body.positions[rng.integers(len(body.positions))]
    return "pair", _approached(body, partner, origin + start, axis, rng.uniform(*RANGES[distance]))


def _approached(body: Body, partner: Body, start: Array, axis: Array, target: float) -> Array:
    """Move a partner in from afar along an axis until the closest pair is at the target ratio."""
    previous = start + FARTHEST * axis
    for shift in np.arange(FARTHEST, -FARTHEST, -0.02):
        moved = start + shift * axis
        if _closest(body, partner, moved) < target:
            break
        previous = moved
    return np.asarray(previous)


def _hydrogen_bond(
    body: Body, partner: Body, rng: np.random.Generator
) -> tuple[int, int, Array] | None:
    """A hydrogen of the body, an acceptor of the partner, and the direction of the donor's bond."""
    donors = body.chemical.GetSubstructMatches(DONORS)
    acceptors = partner.chemical.GetSubstructMatches(ACCEPTORS)
    if not donors or not acceptors:
        return None
    hydrogen, heavy = donors[rng.integers(len(donors))]
    axis = body.positions[hydrogen] - body.positions[heavy] + 0.2 * rng.normal(size=3)
    acceptor = acceptors[rng.integers(len(acceptors))][0]
    return hydrogen, acceptor, axis / np.linalg.norm(axis)


def _ring_plane(body: Body, rng: np.random.Generator) -> tuple[Array, Array] | None:
    """Centre and normal of an aromatic ring."""
    rings = [
        list(ring)
        for ring in body.chemical.GetRingInfo().AtomRings()
        if all(body.chemical.GetAtomWithIdx(index).GetIsAromatic() for index in ring)
    ]
    if not rings:
        return None
    corners = body.positions[rings[rng.integers(len(rings))]]
    centre = corners.mean(axis=0)
    return centre, np.linalg.svd(corners - centre)[2][2]


def _stacked(
    body: Body,
    partner: Body,
    below: tuple[Array, Array],
    above: tuple[Array, Array],
    height: float,
    rng: np.random.Generator,
) -> Array | None:
    """The partner with its ring over the other, turned about the common normal, shifted sideways.

    None where substituents clash in all of some tries.
    """
    aligned, _ = Rotation.align_vectors(below[1][None], above[1][None])
    for _ in range(STACK_ATTEMPTS):
        spin = Rotation.from_rotvec(rng.uniform(0, 2 * np.pi) * below[1])
        centred = (spin * aligned).apply(partner.positions - above[0])
        aside = np.cross(below[1], _direction(rng)) * rng.uniform(0, 2)
        positions = below[0] + height * below[1] + aside + centred
        if _closest(body, partner, positions) > PRESSED[0]:
            return np.asarray(positions)
    return None


def _closest(body: Body, partner: Body, positions: Array) -> float:
    """Smallest distance between two molecules over the sum of van der Waals radii."""
    radii = vdw_radii[body.numbers][:, None] + vdw_radii[partner.numbers]
    distances = np.linalg.norm(body.positions[:, None] - positions, axis=2)
    return float((distances / radii).min())


def _turned(positions: Array, rng: np.random.Generator) -> Array:
    turn = Rotation.from_quat(rng.normal(size=4))
    return np.asarray(turn.apply(positions))


def _direction(rng: np.random.Generator) -> Array:
    vector = rng.normal(size=3)
    return np.asarray(vector / np.linalg.norm(vector))
