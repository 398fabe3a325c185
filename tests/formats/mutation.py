"""Damaged texts, made from sound ones: what users, editors, mailers and attackers do to files."""

from collections.abc import Callable
from random import Random

TOKENS = (
    *("nan", "-inf", "1e999", "-1", "0", "999999999999999", "1e308", "1.5D-3", "٣", "1_0", "--5"),
    *("", " ", "\t", "\n", "\r", "\r\n", "\x00", "\x85", "\u2028", "\ufeff", "é", "x" * 300),
    *(
        "D",
        "Xx",
        "Cl",
        "CL",
        "1+",
        "$$$$",
        "M  END",
        "M  CHG  9   1   1",
        "V3000",
        "MODEL        1",
    ),
    *("ENDMDL", "loop_", "data_x", ";", "'", '"', "_atom_site_label", "?", "charge=1", "units=nm"),
    *("Lattice=", "pbc=T", "Properties=species:S:1:pos:R:3:a:R:400000000", "=", ":", "Direct", "F"),
)
Change = Callable[[str, Random], str]


def mutated(text: str, random: Random) -> bytes:
    """The text with one to five changes, as bytes that may be no text any more."""
    for _ in range(random.randint(1, 5)):
        text = random.choice(CHANGES)(text, random)
    data = text.encode()
    if random.random() < 0.05 and data:
        at = random.randrange(len(data))
        data = data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]
    return data


def _span(text: str, random: Random) -> tuple[int, int]:
    start = random.randint(0, len(text))
    return start, min(len(text), start + random.choice((0, 1, 1, 3, 10, 100)))


def _insert(text: str, random: Random) -> str:
    start, end = _span(text, random)
    return text[:start] + random.choice(TOKENS) + text[end:]


def _cut(text: str, random: Random) -> str:
    start, end = _span(text, random)
    return text[:start] + text[end:]


def _repeat(text: str, random: Random) -> str:
    start, end = _span(text, random)
    return text[:end] + text[start:end] * random.choice((1, 2, 50)) + text[end:]


def _replace_word(text: str, random: Random) -> str:
    words = text.split(" ")
    words[random.randrange(len(words))] = random.choice(TOKENS)
    return " ".join(words)


def _move_line(text: str, random: Random) -> str:
    lines = text.split("\n")
    line = lines.pop(random.randrange(len(lines)))
    for _ in range(random.choice((0, 1, 1, 2))):
        lines.insert(random.randint(0, len(lines)), line)
    return "\n".join(lines)


def _truncate(text: str, random: Random) -> str:
    return text[: random.randint(0, len(text))]


CHANGES: tuple[Change, ...] = (
    _insert,
    _insert,
    _cut,
    _repeat,
    _replace_word,
    _move_line,
    _truncate,
)
