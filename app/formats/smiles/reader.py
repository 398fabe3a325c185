"""Read files of SMILES."""

from collections.abc import Iterator

from app.errors import InputError, InvalidFormat
from app.formats.frame import Frame
from app.formats.notation import Smiles
from app.formats.text import short, split_lines

HEADER = "smiles"
"""The first word of a first line that names columns."""


def parse(text: str) -> Iterator[Frame]:
    """The molecules of a file: a SMILES on each line, and behind it the molecule's name.

    Blank lines, those that begin with `#`, and a first line that begins with the word `smiles` are
    passed over. A line that is no SMILES is an error in its own place.
    """
    first = True
    for number, line in enumerate(split_lines(text), 1):
        words = line.split(None, 1)
        is_header = bool(words) and first and words[0].lower() == HEADER
        if not words or words[0].startswith("#") or is_header:
            continue
        first = False
        name = words[1].strip() if len(words) > 1 else ""
        try:
            if name.startswith("|"):
                raise InvalidFormat(f"'{short(name)}': extensions of CXSMILES are not read")
            molecule: Smiles | InputError = Smiles(words[0])
        except InputError as error:
            molecule, name = InvalidFormat(f"line {number}: {error}"), ""
        yield Frame(molecule, name or None)
