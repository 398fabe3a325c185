"""PNG files that are small enough to be kept with the documentation."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

LARGEST = 150_000
"""Bytes of a picture."""


def save(figure: Figure, path: Path) -> None:
    """Write a figure, small."""
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure).print_png(str(path))
    shrink(path)


def shrink(path: Path) -> None:
    """Make a PNG file small, if it is not: fewer colours first, then fewer pixels."""
    colours = 256
    while path.stat().st_size > LARGEST:
        with Image.open(path) as image:
            found = image.convert("RGB")
        if colours < 32:
            found = found.resize((found.width * 4 // 5, found.height * 4 // 5))
        found.quantize(colours).save(path, optimize=True)
        colours = max(colours // 2, 16)
