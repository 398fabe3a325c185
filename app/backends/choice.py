"""What runs an exported model: the backend that is asked for, or the fastest one here."""

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from app.atoms.graph import Graph, collate
from app.atoms.neighbors import build_graph
from app.backends.aoti import open_aoti
from app.backends.device import BackendChoice
from app.backends.exported import ExportedBackend
from app.backends.kernel import open_kernel
from app.backends.onnx import open_onnx
from app.backends.synthetic import lattice_piece
from app.errors import BackendError
from app.store.card import ModelCard
from app.store.store import StoredModel

MOLECULES, ATOMS = 5, 21
"""In the batch that is measured, for each thread, and in a molecule: about a portion."""
ROUNDS = 3
ENERGY_PER_ATOM, FORCES = 4e-5, 1e-3
"""eV and eV/Å: how far the kernel may be from the artifact, where the largest energy of an atom or
force is 1, and else in proportion. Either may be half as far from the model in float64."""

Runtime: TypeAlias = Literal["onnx", "aoti", "kernel"]

log = logging.getLogger(__name__)


def open_exported(
    model: StoredModel, threads: int, device: str, deterministic: bool, asked: BackendChoice
) -> ExportedBackend:
    """A model in the runtime that was asked for, or with `auto` in the fastest one.

    Where there is a choice and it is not made by measurement, the log says why: there is none if
    bits are to be the same at each start, since they depend on it. The kernel is compared with the
    artifact, which is certified, before it is used.

    Raises:
        BackendError: the runtime that was asked for is not installed, or cannot run the model here.
    """
    card, arguments = model.card, (model.folder, threads, device, deterministic)
    if asked == "aoti":
        return open_aoti(card, *arguments)
    onnx = open_onnx(card, *arguments)
    if asked == "onnx":
        return onnx
    if asked == "kernel":
        kernel = _open_kernel(card, arguments, onnx)
        onnx.close()
        return kernel
    others = _candidates(card, device)
    if others and deterministic:
        log.info(
            "%s runs on onnx: with deterministic answers nothing is measured; backend %s is taken where it is named",
            card.reference,
            " or ".join(f"'{name}'" for name in others),
        )
        return onnx
    opened: dict[Runtime, ExportedBackend] = {"onnx": onnx}
    for name in others:
        try:
            opened[name] = (
                open_aoti(card, *arguments)
                if name == "aoti"
                else _open_kernel(card, arguments, onnx)
            )
        except BackendError as error:
            log.info("%s does not run on %s: %s", card.reference, name, error)
    return _fastest(card.reference, opened) if len(opened) > 1 else onnx


def _open_kernel(
    card: ModelCard, arguments: tuple[Path, int, str, bool], onnx: ExportedBackend
) -> ExportedBackend:
    """The kernel, which gives what the artifact gives.

    Raises:
        BackendError: it is not installed, cannot run the model, or differs; says by how much.
    """
    kernel = open_kernel(card, *arguments)
    try:
        _check_agreement(kernel, onnx)
    except BackendError:
        kernel.close()
        raise
    return kernel


def _candidates(card: ModelCard, device: str) -> list[Runtime]:
    """What may be faster than the artifact."""
    packages: list[Runtime] = ["aoti"] if card.aoti is not None else []
    kernel: list[Runtime] = ["kernel"] if card.architecture == "allegro" and device == "cpu" else []
    return packages + kernel


def _check_agreement(kernel: ExportedBackend, onnx: ExportedBackend) -> None:
    card = onnx.card
    pieces = [lattice_piece(card, atoms, False) for atoms in (1, ATOMS)]
    if card.takes_charge:
        pieces.append(replace(pieces[-1], charge=1))
    graph = collate([build_graph(piece, card.cutoff) for piece in pieces])
    ours, theirs = kernel(graph), onnx(graph)
    assert ours.forces is not None
    assert theirs.forces is not None
    of_energies = np.abs(theirs.energies - card.references(graph)).max(initial=1.0)
    of_forces = np.abs(theirs.forces).max(initial=1.0)
    energy = max(
        np.abs(answer.energies - theirs.energies).max() for answer in (ours, kernel.energies(graph))
    )
    force = np.abs(ours.forces - theirs.forces).max()
    if not (energy <= ENERGY_PER_ATOM * of_energies and force <= FORCES * of_forces):
        raise BackendError(
            f"the kernel differs from the artifact by {energy:.1e} eV an atom and {force:.1e} eV/Å; they "
            f"may differ by {ENERGY_PER_ATOM * of_energies:.1e} and {FORCES * of_forces:.1e}"
        )


def _fastest(reference: str, opened: dict[Runtime, ExportedBackend]) -> ExportedBackend:
    """The fastest one; the others are closed."""
    onnx = opened["onnx"]
    card = onnx.card
    graph = collate(
        [build_graph(lattice_piece(card, ATOMS, False), card.cutoff)] * (MOLECULES * onnx.threads)
    )
    seconds = dict.fromkeys(opened, float("inf"))
    for _ in range(1 + ROUNDS):  # the first one warms up
        for name, backend in opened.items():
            seconds[name] = min(seconds[name], evaluation_seconds(backend, graph))
    best, *rest = sorted(seconds, key=seconds.__getitem__)
    ratios = (f"{seconds[name] / seconds[best]:.2f} times as fast as {name}" for name in rest)
    log.info("%s runs on %s, measured to be %s", reference, best, " and ".join(ratios))
    chosen = opened.pop(best)
    _close(opened)
    return chosen


def _close(opened: dict[Runtime, ExportedBackend]) -> None:
    for backend in opened.values():
        backend.close()


def evaluation_seconds(backend: ExportedBackend, graph: Graph) -> float:
    """How long one evaluation takes."""
    start = time.perf_counter()
    backend(graph)
    return time.perf_counter() - start
