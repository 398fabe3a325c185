"""Read files of SMILES."""

from collections.abc import Iterator

from app.errors import InputError, InvalidFormat
from app.formats.frame import Frame
from app.formats.notation import Smiles
from app.formats.text import short, split_lines

HEADER = "smiles"
"""The first word of a first line that names columns."""


def parse(text: str, first: int = 0, before: int = 0) -> Iterator[Frame]:
    """The molecules of a file: a SMILES on each line, and behind it the molecule's name.

    Blank lines, those that begin with `#`, and a first line that begins with the word `smiles` are
    passed over. A line that is no SMILES is an error in its own place.

    Args:
        text: a file's content, or a part of it.
        first: molecules before its first one.
        before: lines before its first one, for messages.
    """
    is_first = first == 0
    for number, line in enumerate(split_lines(text), before + 1):
        words = line.split(None, 1)
        if not words or is_passed_over(words[0], is_first):
            continue
        is_first = False
        name = words[1].strip() if len(words) > 1 else ""
        try:
            if name.startswith("|"):
                raise InvalidFormat(f"'{short(name)}': extensions of CXSMILES are not read")
            molecule: Smiles | InputError = Smiles(words[0], line=number)
        except InputError as error:
            molecule, name = InvalidFormat(f"line {number}: {error}"), ""
        yield Frame(molecule, name or None)


def is_passed_over(word: str, is_first: bool) -> bool:
    """Whether a line that begins with a word is a remark, or one that names columns.

    Args:
        word: the first one of the line.
        is_first: whether no molecule stands before it.
    """
    return word.startswith("#") or (is_first and word.lower() == HEADER)
