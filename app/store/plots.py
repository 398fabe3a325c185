"""Plots: pictures of how good a model is, among the files of its version."""

import hashlib
from pathlib import Path

from app.errors import UnknownModel
from app.store.card import ModelCard
from app.store.files import opened, verify

PLOTS = ("parity.png", "calibration.png")
"""Predictions against labels of data that were set aside; errors of forces against their estimates."""
PLOT_BYTES = 4 << 20
"""The largest one."""


def plots_of(card: ModelCard) -> tuple[str, ...]:
    """Names of the plots that a version has."""
    return tuple(name for name in PLOTS if name in card.files)


def read_plot(folder: Path, card: ModelCard, name: str) -> bytes:
    """A plot, which is what the card says of it.

    Args:
        folder: of the version.
        card: of the version.
        name: of the plot.

    Raises:
        UnknownModel: the version has no such plot; says which it has.
        CorruptModel: it is not there, too large, or another one than the card says.
    """
    if name not in (known := plots_of(card)):
        raise UnknownModel(
            f"{card.reference} has no plot '{name[:80]}'; it has {', '.join(known) or 'none'}"
        )
    with opened(folder, name, PLOT_BYTES) as file:
        content = file.read()
    if hashlib.sha256(content).hexdigest() != card.files[name]:
        verify(folder, name, card.files[name])
    return content
