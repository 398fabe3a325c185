"""Reader of QM9 (Ramakrishnan et al. 2014), in Hartree and Å, no forces, in the layouts in which it
is distributed.

The original has a file a molecule: the number of atoms; a line `gdb`, the molecule's number and
fifteen properties; a line an atom with symbol, x, y, z and a charge; and lines of frequencies,
SMILES and InChI. Exponents may be written as `*^`. Tables of it have a row a molecule; see
`read_qm9_table`.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path

from ase.data import atomic_numbers

from app.errors import InvalidData
from app.training.data.config import Source
from app.training.data.frames import LabelledFrame, Labels, labelled
from app.training.data.readers.qm9_table import Molecule, open_molecule, read_table

COLUMNS = {"U0": 12, "U": 13, "H": 14, "G": 15}
"""Place of each energy in the line of properties: at 0 K, and at 298.15 K energy, enthalpy and free
energy.
"""


def read_qm9(source: Source, path: Path, leave_out: Path | None) -> Iterator[LabelledFrame]:
    """The molecules of a folder, a tar archive or a single file, in the order of the files' names;
    or of a table.

    Args:
        source: the source.
        path: of the folder, the archive or the file.
        leave_out: list of the numbers of inconsistent molecules.

    Raises:
        InvalidData: naming the file, or the frame.
    """
    left_out = frozenset[int]() if leave_out is None else read_list(leave_out)
    is_table = path.suffix.lower() in (".csv", ".sdf")
    molecules = read_table(source, path) if is_table else _molecules(source, path)
    kept = (molecule for molecule in molecules if molecule.number not in left_out)
    for index, molecule in source.chosen(kept):
        info: dict[str, object] = {"molecule": molecule.number, "smiles": molecule.smiles}
        yield labelled(molecule.geometry, Labels(molecule.energy), source, index, info)


def read_list(path: Path) -> frozenset[int]:
    """Numbers at the beginning of lines, as in QM9's `uncharacterized.txt`; other lines are
    comments.

    Raises:
        InvalidData: it cannot be read, or holds no number.
    """
    try:
        words = [line.split()[:1] for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidData(f"{path.name}: cannot be read: {error}") from error
    numbers = frozenset(int(word[0]) for word in words if word and word[0].isdecimal())
    if not numbers:
        raise InvalidData(f"{path.name}: no line begins with the number of a molecule")
    return numbers


def _molecules(source: Source, path: Path) -> Iterator[Molecule]:
    return (_molecule(source, name, text) for name, text in _texts(source, path))


def _texts(source: Source, path: Path) -> Iterator[tuple[str, str]]:
    """Names and contents of the molecules' files."""
    try:
        if path.is_dir():
            for file in sorted(path.glob("*.xyz")):
                yield file.name, file.read_text(encoding="utf-8")
        elif tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                parts = ((member.name, archive.extractfile(member)) for member in archive)
                texts = {
                    name: part.read().decode()
                    for name, part in parts
                    if part and name.endswith(".xyz")
                }
            yield from sorted(texts.items())
        else:
            yield path.name, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, tarfile.TarError) as error:
        raise InvalidData(f"{source.path}: cannot be read: {error}") from error


def _molecule(source: Source, name: str, text: str) -> Molecule:
    words = text.partition("\n")[2].split(maxsplit=2)[:2]
    if len(words) < 2 or words[0] != "gdb" or not words[1].isdecimal():
        raise InvalidData(f"{source.path}, {name}: no line 'gdb NUMBER …'; is this a file of QM9?")
    try:
        lines = text.splitlines()
        count = int(lines[0])
        rows = [line.replace("*^", "e").split() for line in lines[2 : 2 + count]]
        numbers = [atomic_numbers[row[0]] for row in rows]
        positions = [[float(x) for x in row[1:4]] for row in rows]
        energy = float(lines[1].split()[COLUMNS[source.keys.energy or "U0"]])
        return Molecule(
            int(words[1]), lines[3 + count].split()[0], open_molecule(numbers, positions), energy
        )
    except (ValueError, LookupError) as error:
        raise InvalidData(f"{source.path}, {name}: not a file of QM9: {error}") from error
