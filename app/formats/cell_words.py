"""Cells that a text states in another way than its format does, which are refused by name."""

import re
from collections.abc import Mapping

USAGE = 'write the three lattice vectors, in Å, as Lattice="ax ay az bx by bz cx cy cz"'
OF = (
    r"(?:size|lengths?|edges?|sides?|vec(?:tor)?s?|par|param(?:eter)?s?|const(?:ant)?s?|dim(?:ension)?s?"
    r"|matrix|abc|bounds?|angles?|a|b|c|x|y|z|dm)"
)
NAMED = rf"(?:cell|box)(?:[ _-]?{OF})?|latt(?:ice)?(?:[ _-]?{OF})?"
KIND = r"unit|simulation|sim|periodic|cubic|orthorhombic|md"
NAMES = rf"(?:(?:{KIND}|super)[ _-]?)?(?:{NAMED})"
"""Under these names a cell is refused: whose rows and which unit they are, nobody says."""
WORDS = rf"(?:(?:{KIND})[ _-]?)?(?:{NAMED})"
"""The same without a supercell, which numbers may say the repetitions of."""
SCALES = r"a_?lat|cell_?dm(?:\(\d\))?|latt(?:ice)?[ _-]?(?:const(?:ant)?|param(?:eter)?)s?"
VECTORS = r"abc|tv_?[123]?|vec_?[123]|cryst1?"
KEY = re.compile(
    rf"(?i)(?:{NAMES})\d?|{SCALES}|{VECTORS}|l[xyz]|_?cell_(?:length|angle)_[a-z]{{1,5}}"
)
NUMBER = r"[-+]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eEdD][-+]?\d++)?"
OPENING = r"""["']?(?: ?[:=])?(?: (?:is|of))? ?["'(\[{]{0,4}"""
GAP = r"(?:[,;] ?| ?[x×*] ?| )"
LENGTH = r"(?:Å|angstroms?|ang|nm|bohr|a\.?u\.?|a)(?!\w)"
FREE = tuple(
    re.compile(rf"(?i)(?<![\w-]){pattern}")
    for pattern in (
        rf"""({NAMES})["']? ?: ?["']?[ (\[{{]{{0,4}}[-+.]?\d""",
        rf"({WORDS}|{SCALES}|{VECTORS}){OPENING}{NUMBER}(?:{GAP}{NUMBER}){{2}}",
        rf"({WORDS}){OPENING}{NUMBER} ?{LENGTH}",
        rf"({SCALES}){OPENING}{NUMBER}",
        rf"(a)(?: ?[:=])? ?{NUMBER}(?: ?{LENGTH})?[ ,;]{{1,3}}b(?: ?[:=])? ?(?:{NUMBER}|a(?!\w))",
    )
)
"""Cells in a free text, whose spaces are single ones."""
HINT = re.compile(r"(?i)cell|box|lat|abc|tv|vec|cryst|(?<![\w-])a(?: ?[:=])? ?[-+.\d]")
"""Found in every text that gives a cell; most do not have it."""
EDGE = re.compile(rf"(?i){NUMBER}|a$")
EDGES, OTHERS = "a", ("b", "c", "alpha", "beta", "gamma", "c/a")
"""Keys that make a cell together; `a` alone may be anything."""


def other_cell(pairs: Mapping[str, str], free: str) -> str | None:
    """The name under which a text gives a cell, as a key or in its free words, as in `cell: 9 9 9`.

    Args:
        pairs: values by key.
        free: text that belongs to no key.
    """
    if key := next(filter(KEY.fullmatch, pairs), None):
        return key
    numbers = {key.lower() for key, value in pairs.items() if EDGE.match(value)}
    if EDGES in numbers and numbers.intersection(OTHERS):
        return EDGES
    text = " ".join(free.split())
    if not HINT.search(text):
        return None
    found = (pattern.search(text) for pattern in FREE)
    return next((match[1] for match in found if match), None)
