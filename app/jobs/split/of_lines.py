"""Items of texts that lines part: SMILES, lines of JSON, and Gaussian's jobs."""

from collections.abc import Iterator
from mmap import mmap

from app.formats import gaussian
from app.formats.smiles.reader import is_passed_over
from app.jobs.parts import Item, PartLimits
from app.jobs.split.lines import Lines

LINK = gaussian.LINK.encode()


def smiles_items(data: mmap, _: PartLimits) -> Iterator[Item]:
    """The lines of a file of SMILES that hold one."""
    lines, is_first = Lines(data), True
    while lines.next():
        words = (lines.beginning().strip() or lines.whole()).decode("latin-1").split(None, 1)
        if words and not is_passed_over(words[0], is_first):
            is_first = False
            yield Item(lines.start, lines.stop, lines.number)


def json_items(data: mmap, _: PartLimits) -> Iterator[Item]:
    """The lines of a body of lines of JSON that are not blank."""
    lines = Lines(data)
    while lines.next():
        if not lines.is_blank():
            yield Item(lines.start, lines.stop, lines.number)


def gaussian_items(data: mmap, _: PartLimits) -> Iterator[Item]:
    """Jobs of Gaussian's input, without the lines between them."""
    lines = Lines(data)
    start, stop, first = 0, 0, 0
    is_blank = True
    while lines.next():
        if lines.beginning().strip().lower() != LINK:
            is_blank = is_blank and lines.is_blank()
            stop = lines.stop
            continue
        if not is_blank:
            yield Item(start, stop, first)
        start, first, is_blank = lines.stop, lines.number + 1, True
    if not is_blank:
        yield Item(start, stop, first)
