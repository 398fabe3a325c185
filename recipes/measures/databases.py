"""Complexes of the databases S66 and A24, and transition states of HTBH, as Psi4 brings them.

Read where they are installed (package `psi4-data` of Debian: `/usr/share/psi4/databases`); they are
Python files, of which only the numbers are read.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from app.atoms.structure import Structure

GEOMETRY = re.compile(
    r"GEOS\['%s-%s-(\w+)'\s*% \(dbse, '?(\w+)'?\s*\)\] = qcdb\.Molecule\(\"\"\"(.*?)\"\"\"\)", re.S
)
ENERGY = re.compile(r"BIND\['%s-%s'\s*% \(dbse, '?(\w+)'?\s*\)\]\s*=\s*(\S+)")
NAME = re.compile(r"TAGL\['%s-%s'\s*% \(dbse, '?(\w+)'?\s*\)\]\s*=\s*\"\"\"(.*?)\"\"\"")
UNITS = {"angstrom": 1.0, "bohr": 0.529177210903}


@dataclass(frozen=True)
class Complex:
    """Two molecules at each other.

    Attributes:
        name: of the complex.
        dimer: both.
        monomers: each alone, in the same geometry.
        energy: kcal/mol, of the interaction, by coupled clusters.
    """

    name: str
    dimer: Structure
    monomers: tuple[Structure, Structure]
    energy: float


def read_complexes(path: Path) -> list[Complex]:
    """All complexes of a database.

    Raises:
        SystemExit: no such file, or one that is not written as expected.
    """
    text = read(path)
    names = {key: name.strip() for key, name in NAME.findall(text)}
    energies = {key: float(value) for key, value in ENERGY.findall(text)}
    complexes = []
    for kind, key, content in GEOMETRY.findall(text):
        if kind == "dimer":
            parts = fragments(content)
            if len(parts) != 2 or key not in energies:
                raise SystemExit(f"{path}, {key}: not two molecules with an interaction energy")
            one, other = parts
            complexes.append(Complex(names[key], joined(one, other), (one, other), energies[key]))
    if not complexes:
        raise SystemExit(f"{path}: no complexes; is it a database of Psi4?")
    return complexes


def read(path: Path) -> str:
    """The text of a database.

    Raises:
        SystemExit: no such file.
    """
    if not path.is_file():
        raise SystemExit(
            f"{path}: no such file; give the folder of Psi4's databases (Debian's psi4-data)"
        )
    return path.read_text()


def fragments(content: str) -> list[Structure]:
    """The molecules of a geometry of Psi4: charge and multiplicity, then atoms; `--` parts them."""
    unit = re.search(r"units (\w+)", content)
    scale = UNITS[unit[1]] if unit else UNITS["angstrom"]
    lines = [line.split() for line in content.splitlines() if line.strip()]
    found: list[list[list[str]]] = [[]]
    for words in lines:
        if words == ["--"]:
            found.append([])
        elif words[0] != "units" and words[0] not in ("no_com", "no_reorient"):
            found[-1].append(words)
    return [_molecule(part, scale) for part in found]


def _molecule(lines: list[list[str]], scale: float) -> Structure:
    (charge, multiplicity), *atoms = lines
    return Structure(
        np.array([atomic_numbers[words[0].capitalize()] for words in atoms]),
        scale * np.array([[float(value) for value in words[1:4]] for words in atoms]),
        charge=int(charge),
        multiplicity=int(multiplicity),
    )


def joined(one: Structure, other: Structure) -> Structure:
    """Two closed-shell molecules as one structure."""
    return Structure(
        np.concatenate([one.numbers, other.numbers]),
        np.concatenate([one.positions, other.positions]),
        charge=one.charge + other.charge,
        multiplicity=1,
    )
