"""A structure in files, evaluated layer by layer, has the energies and forces of the whole."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.atoms.neighbors import build_graph
from app.atoms.prediction import split
from app.atoms.structure import Structure
from app.backends.pair import PairBackend
from app.errors import InvalidFormat, InvalidRequest, UnsupportedElement
from app.formats.slabs import Columns, Head, Slab, Writer, open_source
from app.space.evaluator import Evaluator, Transport
from app.space.opening import Opening
from app.space.pool import Pool
from app.space.spill import Spill
from app.space.stream import Totals, stream
from app.store.card import ModelCard
from app.store.store import ModelStore
from tests.paths import MODEL_STORE
from tests.structures import BULK, SLAB, WIRE, random_crystal
from tests.tolerances import TOLERANCES

OPEN = np.zeros(3, dtype=bool)


def columns(structure: Structure, folder: Path) -> Columns:
    """The structure as a folder, written in two parts, the second one first."""
    head = Head(len(structure), structure.cell, structure.pbc)
    with Writer(folder, head, ("numbers", "positions")) as writer:
        half = len(structure) // 2
        for start, stop in ((half, len(structure)), (0, half)):
            writer.write("numbers", start, structure.numbers[start:stop])
            writer.write("positions", start, structure.positions[start:stop])
    return Columns(folder)


def streamed(
    structure: Structure,
    card: ModelCard,
    folder: Path,
    most: int,
    transport: Transport | None = None,
    derivatives: bool = True,
) -> tuple[Totals, Columns]:
    source = columns(structure, folder / "in.columns")
    transport = transport or Evaluator(PairBackend(card))
    totals = stream(
        source, folder / "out.columns", card, True, transport, derivatives, layer_atoms=most
    )
    assert sorted(path.name for path in folder.iterdir()) == ["in.columns", "out.columns"]
    return totals, Columns(folder / "out.columns")


@pytest.mark.parametrize(
    ("shape", "pbc", "most"),
    [
        ((9, 4, 3), BULK, 12),
        ((2, 2, 2), BULK, 1),
        ((1, 1, 1), BULK, 1),
        ((4, 12, 2), SLAB, 8),
        ((3, 3, 9), WIRE, 10),
        ((3, 8, 3), WIRE, 10),
        ((3, 9, 4), OPEN, 5),
        ((5, 4, 4), BULK, 10**6),
    ],
)
def test_the_layers_are_the_whole(
    pair_card: ModelCard, tmp_path: Path, shape: tuple[int, int, int], pbc: np.ndarray, most: int
) -> None:
    structure = random_crystal(pair_card, shape, seed=7, pbc=pbc)
    totals, out = streamed(structure, pair_card, tmp_path, most)
    graph = build_graph(structure, pair_card.cutoff)
    (whole,) = split(PairBackend(pair_card)(graph), graph)
    tolerance = TOLERANCES[pair_card.dtype]
    n = len(structure)
    assert totals.energy == pytest.approx(whole.energy, rel=1e-11)
    np.testing.assert_allclose(out.read("energies", 0, n), whole.energies, atol=tolerance.forces)
    np.testing.assert_allclose(out.read("forces", 0, n), whole.forces, atol=tolerance.forces)
    np.testing.assert_array_equal(out.read("positions", 0, n), structure.positions)
    if pbc.all():
        np.testing.assert_allclose(out.results["stress"], whole.stress, atol=1e-12)
    assert out.results["energy"] == totals.energy
    assert out.results["model"] == pair_card.reference


def test_layers_over_workers(tmp_path: Path) -> None:
    stored = ModelStore(MODEL_STORE).load("lennard-jones")
    card = stored.card
    structure = random_crystal(card, (14, 6, 5), seed=2)
    pool = Pool(Opening("lennard-jones", MODEL_STORE, threads=2), 2)
    totals, out = streamed(structure, card, tmp_path, 100, pool)
    pool.close()
    graph = build_graph(structure, card.cutoff)
    (whole,) = split(PairBackend(card)(graph), graph)
    assert totals.energy == pytest.approx(whole.energy, rel=1e-11)
    np.testing.assert_allclose(out.read("forces", 0, len(structure)), whole.forces, atol=1e-11)


def test_energies_alone(pair_card: ModelCard, tmp_path: Path) -> None:
    structure = random_crystal(pair_card, (6, 4, 3), seed=7)
    totals, out = streamed(structure, pair_card, tmp_path, 20, derivatives=False)
    assert out.names == ("numbers", "positions", "energies")
    assert totals.stress is None
    assert out.read("energies", 0, len(structure)).sum() == pytest.approx(totals.energy)


def test_an_output_that_is_there(pair_card: ModelCard, tmp_path: Path) -> None:
    structure = random_crystal(pair_card, (3, 3, 3), seed=7)
    streamed(structure, pair_card, tmp_path, 20)
    source = Columns(tmp_path / "in.columns")
    with pytest.raises(InvalidRequest, match=r"out\.columns: is there already; remove it"):
        stream(source, tmp_path / "out.columns", pair_card, True, Evaluator(PairBackend(pair_card)))


def test_what_a_run_has_left_half_written(pair_card: ModelCard, tmp_path: Path) -> None:
    structure = random_crystal(pair_card, (3, 3, 3), seed=7)
    unknown = replace(structure, numbers=np.where(np.arange(27) == 5, 79, structure.numbers))
    source = columns(unknown, tmp_path / "in.columns")
    ask = (tmp_path / "out.columns", pair_card, True, Evaluator(PairBackend(pair_card)))
    with pytest.raises(UnsupportedElement, match=r"atom 5 is Au; model 'pairs@1' knows"):
        stream(source, *ask)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.columns"]
    (tmp_path / "out.columns").mkdir()  # as of a run that was killed
    head = json.loads((tmp_path / "in.columns" / "head.json").read_text())
    (tmp_path / "out.columns" / "head.json").write_text(json.dumps({**head, "complete": False}))
    with pytest.raises(InvalidFormat, match=r"out\.columns: half-written, by a run"):
        open_source(tmp_path / "out.columns")
    with pytest.raises(InvalidRequest, match=r"half-written by a run before; remove it"):
        stream(source, *ask)


def test_rows_go_to_their_bins(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 1000, 500)
    with Spill(tmp_path, "rows", 7, np.int64) as spill:
        for part in np.array_split(values, 9):
            spill.add(part % 7, part)
        for index in range(7):
            np.testing.assert_array_equal(spill.read(index), values[values % 7 == index])


def test_slabs_are_in_the_order_of_the_file(tmp_path: Path, pair_card: ModelCard) -> None:
    structure = random_crystal(pair_card, (4, 4, 4), seed=1)
    (slab,) = columns(structure, tmp_path / "a.columns").slabs()
    assert isinstance(slab, Slab)
    np.testing.assert_array_equal(slab.positions, structure.positions)
