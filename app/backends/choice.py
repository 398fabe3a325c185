"""What runs an exported model: the backend that is asked for, or the faster one here."""

import logging
import time

from app.atoms.graph import Graph, collate
from app.atoms.neighbors import build_graph
from app.backends.aoti import open_aoti
from app.backends.device import BackendChoice
from app.backends.exported import ExportedBackend
from app.backends.onnx import open_onnx
from app.backends.synthetic import lattice_piece
from app.errors import BackendError
from app.store.store import StoredModel

MOLECULES, ATOMS = 5, 21
"""In the batch that is measured, for each thread, and in a molecule: about a portion."""
ROUNDS = 3

log = logging.getLogger(__name__)


def open_exported(
    model: StoredModel, threads: int, device: str, deterministic: bool, asked: BackendChoice
) -> ExportedBackend:
    """A model in the runtime that was asked for, or with `auto` in the faster one.

    Where there is a choice and it is not made by measurement, the log says why: there is none if
    bits are to be the same at each start, since they depend on it.

    Raises:
        BackendError: the runtime that was asked for is not installed, or cannot run the model here.
    """
    arguments = (model.card, model.folder, threads, device, deterministic)
    if asked == "aoti":
        return open_aoti(*arguments)
    onnx = open_onnx(*arguments)
    if asked == "onnx" or model.card.aoti is None:
        return onnx
    reference = model.card.reference
    if deterministic:
        log.info(
            "%s runs on onnx: with deterministic answers nothing is measured; backend 'aoti' takes the packages",
            reference,
        )
        return onnx
    try:
        aoti = open_aoti(*arguments)
    except BackendError as error:
        log.info("%s runs on onnx: %s", reference, error)
        return onnx
    return _faster(reference, onnx, aoti)


def _faster(reference: str, onnx: ExportedBackend, aoti: ExportedBackend) -> ExportedBackend:
    """The faster one; the other one is closed."""
    card = onnx.card
    graph = collate(
        [build_graph(lattice_piece(card, ATOMS, False), card.cutoff)] * (MOLECULES * onnx.threads)
    )
    seconds = {backend: float("inf") for backend in (onnx, aoti)}
    for _ in range(1 + ROUNDS):  # the first one warms up
        for backend in seconds:
            seconds[backend] = min(seconds[backend], evaluation_seconds(backend, graph))
    names = {onnx: "onnx", aoti: "aoti"}
    best, other = sorted(seconds, key=seconds.__getitem__)
    ratio = seconds[other] / seconds[best]
    log.info(
        "%s runs on %s, measured to be %.2f times as fast as %s",
        reference,
        names[best],
        ratio,
        names[other],
    )
    other.close()
    return best


def evaluation_seconds(backend: ExportedBackend, graph: Graph) -> float:
    """How long one evaluation takes."""
    start = time.perf_counter()
    backend(graph)
    return time.perf_counter() - start
