"""Constants of the terms of pairs of atoms that are added to a network's energies
(`app.training.models.repulsion`, `app.training.models.binding`).
"""

from typing import NamedTuple


class Screening(NamedTuple):
    """Constants of the repulsion; those of the publication, unless said otherwise.

    Attributes:
        coulomb: eV Å: e²/4πε₀.
        length: Å, of the denominator Z_i^x + Z_j^x.
        exponent: x.
        shares: c_k.
        decays: d_k.
        power: of the envelope.
    """

    coulomb: float = 14.399645
    length: float = 0.8854 * 0.529177
    exponent: float = 0.23
    shares: tuple[float, ...] = (0.18175, 0.50986, 0.28022, 0.02817)
    decays: tuple[float, ...] = (3.19980, 0.94229, 0.40290, 0.20162)
    power: int = 6


UNIVERSAL = Screening()

SATURATION = 3.0
"""How soon an atom counts as bound: one bond gives it 1 − exp(−3) of its energy."""
REACH = 2.0
"""Sums of covalent radii after which a bond has ended."""
ENVELOPE_POWER = 6
