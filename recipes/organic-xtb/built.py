"""Peptides and macrocycles, put together from residues and from links of a ring."""

import random
from collections.abc import Iterator

RESIDUES = {
    "G": "",
    "A": "C",
    "V": "C(C)C",
    "L": "CC(C)C",
    "I": "C(C)CC",
    "M": "CCSC",
    "F": "Cc1ccccc1",
    "Y": "Cc1ccc(O)cc1",
    "W": "Cc1c[nH]c2ccccc12",
    "S": "CO",
    "T": "C(C)O",
    "C": "CS",
    "N": "CC(N)=O",
    "Q": "CCC(N)=O",
    "D": "CC(=O)[O-]",
    "E": "CCC(=O)[O-]",
    "K": "CCCC[NH3+]",
    "R": "CCCNC(N)=[NH2+]",
    "H": "Cc1c[nH]cn1",
    "P": "",
}
"""Side chains as at pH 7, on the alpha carbon; proline is a ring."""
LINKS = (
    "C", "CC", "CCC", "CO", "CCO", "CN", "CCNC", "C(=O)N", "C(=O)O", "CS", "C=C", "C(=O)", "c1cccc(c1)",
    "CC(C)", "C(F)(F)", "CS(=O)(=O)N", "C#C", "COP(C)(=O)O",
)  # fmt: skip
CAPPED = {1: 20, 2: 280, 3: 220, 4: 120, 5: 60}
FREE = {2: 120, 3: 80, 4: 40}
CYCLIC = {3: 20, 4: 60, 5: 60, 6: 40}
MACROCYCLES = 450


def peptides() -> Iterator[str]:
    """Capped, free (zwitterionic) and cyclic peptides, so many of each length, without repeats."""
    for kind, counts in ((_capped, CAPPED), (_free, FREE), (_cyclic, CYCLIC)):
        for length, count in counts.items():
            yield from (kind(sequence) for sequence in _sequences(kind.__name__, length, count))


def macrocycles() -> Iterator[str]:
    """Rings of at least nine atoms: crown ethers, lactams, lactones and what lies between."""
    draw = random.Random("macrocycles")
    for _ in range(MACROCYCLES):
        links = [draw.choice(LINKS) for _ in range(draw.randint(5, 8))]
        yield f"C9{''.join(links)}C9"


def _sequences(kind: str, length: int, count: int) -> list[str]:
    if length == 1:
        return list(RESIDUES)
    draw = random.Random(f"{kind} {length}")
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(draw.choice(list(RESIDUES)) for _ in range(length))] = None
    return list(found)


def _residue(letter: str) -> str:
    """N, alpha carbon and carbonyl."""
    if letter == "P":
        return "N1CCCC1C(=O)"
    return "NCC(=O)" if letter == "G" else f"NC({RESIDUES[letter]})C(=O)"


def _capped(sequence: str) -> str:
    return "CC(=O)" + "".join(map(_residue, sequence)) + "NC"


def _free(sequence: str) -> str:
    chain = "".join(map(_residue, sequence))
    head = "[NH2+]1" + chain[2:] if sequence[0] == "P" else "[NH3+]" + chain[1:]
    return head + "[O-]"


def _cyclic(sequence: str) -> str:
    chain = "".join(map(_residue, sequence))
    closed = chain[: chain.rfind("C(=O)")] + "C9(=O)"
    if sequence[0] == "P":
        return "N91" + closed[2:]
    return "N9" + closed[1:]
