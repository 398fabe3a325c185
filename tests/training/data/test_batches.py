"""Batches: the same edges as the layout of the backends, targets, limits, and one answer however
batched.
"""

import numpy as np
import pytest
import torch

from app.atoms.neighbors import build_graphs
from app.atoms.structure import Structure
from app.backends.layout import dense_edges
from app.errors import InvalidData
from app.training.data.batches import BatchSize, Collator, batches, epoch_batches
from app.training.data.dataset import build_dataset
from app.training.data.frames import LabelledFrame
from app.training.evaluation.forward import predict
from app.training.models import Statistics, build_model
from tests.training.labelled import REFERENCES, crystals, molecules, tiny_config

FRAMES = [*molecules(9, sizes=(1, 2, 5, 9)), *crystals(2)]
STATISTICS = Statistics(
    elements=("Ne", "Ar"), atomic_energies=REFERENCES, force_scale=1.0, average_neighbors=4.0
)
DATASET = build_dataset(FRAMES, 4.5, "float64")
COLLATOR = Collator(DATASET, STATISTICS)


@pytest.mark.parametrize("indices", [[0], [3, 9, 1], [10, 2, 2, 7], [4, 8]])
def test_a_batch_has_the_edges_of_the_backends_layout(indices):
    batch = COLLATOR(np.array(indices))
    graph = build_graphs([FRAMES[i].structure for i in indices], 4.5)
    expected = dense_edges(graph)
    links = expected.links()
    np.testing.assert_array_equal(batch.inputs.mask.numpy(), expected.mask)
    found = batch.inputs.edge_vectors[batch.inputs.mask].numpy()
    np.testing.assert_allclose(found, graph.edge_vectors()[expected.edges], atol=1e-12)
    np.testing.assert_array_equal(batch.inputs.neighbors.numpy(), links["neighbors"])
    np.testing.assert_array_equal(batch.inputs.reverse.numpy(), links["reverse"])
    np.testing.assert_array_equal(batch.structure.numpy(), graph.atom_structure)
    np.testing.assert_array_equal(np.array([10, 18])[batch.inputs.species.numpy()], graph.numbers)


def test_targets_are_energies_above_the_references_forces_and_stresses():
    batch = COLLATOR(np.array([9, 3]))
    targets = batch.targets
    for place, index in enumerate((9, 3)):
        frame = FRAMES[index]
        references = sum(REFERENCES[symbol] for symbol in frame.structure.symbols)
        assert float(targets.energy[place]) == pytest.approx(frame.energy - references, abs=1e-12)
    np.testing.assert_array_equal(
        targets.forces.numpy(), np.concatenate([FRAMES[9].forces, FRAMES[3].forces])
    )
    assert targets.has_stress.tolist() == [True, False]
    np.testing.assert_array_equal(targets.stress[0].numpy(), FRAMES[9].stress)
    assert batch.volume.tolist() == [pytest.approx(FRAMES[9].structure.volume), 1.0]


def test_a_batch_gives_what_its_structures_give_alone():
    model = build_model(tiny_config().model, STATISTICS, torch.float64)
    together = predict(model, COLLATOR(np.arange(len(FRAMES))), create_graph=False)
    single = [
        predict(model, COLLATOR(np.array([i])), create_graph=False) for i in range(len(FRAMES))
    ]
    for part, column in zip(together, zip(*single, strict=True), strict=True):
        np.testing.assert_allclose(part.numpy(), torch.cat(column).numpy(), atol=1e-10)


def test_large_totals_keep_their_digits_in_float32():
    frame = FRAMES[2]
    heavy = LabelledFrame(frame.structure, frame.energy - 1e6, frame.forces, None, "made.xyz", 0)
    references = {
        symbol: value - 1e6 / len(frame.structure) for symbol, value in REFERENCES.items()
    }
    statistics = STATISTICS.model_copy(update={"atomic_energies": references})
    batch = Collator(build_dataset([heavy], 4.5, "float32"), statistics)(np.array([0]))
    expected = frame.energy - sum(REFERENCES[s] for s in frame.structure.symbols)
    assert float(batch.targets.energy[0]) == pytest.approx(expected, abs=1e-6)


def test_atoms_on_one_spot_are_named_with_file_and_frame():
    structure = Structure(np.array([18, 18]), np.array([[0, 0, 0], [0, 0, 0.01]]))
    bad = LabelledFrame(structure, 0.0, np.zeros((2, 3)), None, "bad.xyz", 7)
    with pytest.raises(InvalidData, match=r"^bad\.xyz, frame 7: .*0\.01"):
        build_dataset([*FRAMES[:3], bad], 4.5)


@pytest.mark.parametrize(
    "size", [BatchSize(4), BatchSize(100, atoms=12), BatchSize(100, edges=60), BatchSize(2, 12, 60)]
)
@pytest.mark.parametrize("bucket", [1, 2])
def test_batches_hold_each_frame_once_within_the_limits(size, bucket):
    cut = epoch_batches(DATASET, size, seed=0, epoch=0, bucket=bucket)
    assert sorted(np.concatenate(cut).tolist()) == list(range(len(FRAMES)))
    for batch in cut:
        if len(batch) > 1:
            assert len(batch) <= size.structures
            assert DATASET.n_atoms[batch].sum() <= (size.atoms or 1000)
            assert DATASET.n_edges[batch].sum() <= (size.edges or 1000)


def test_batches_are_as_large_as_the_limit_allows():
    assert [len(b) for b in batches(DATASET, np.arange(11), BatchSize(4))] == [4, 4, 3]


def test_the_order_depends_on_seed_and_epoch_alone():
    def order(seed, epoch, bucket=4):
        return np.concatenate(epoch_batches(DATASET, BatchSize(2), seed, epoch, bucket)).tolist()

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(s, e)) for s in (0, 1) for e in (0, 1)}) == 4


def test_sorting_by_neighbours_saves_padding():
    dataset = build_dataset(molecules(200, sizes=(2, 12)), 4.5)
    collator = Collator(dataset, STATISTICS)

    def fill(bucket):
        masks = [
            collator(b).inputs.mask for b in epoch_batches(dataset, BatchSize(4), 0, 0, bucket)
        ]
        return sum(int(m.sum()) for m in masks) / sum(m.numel() for m in masks)

    assert fill(8) > 1.1 * fill(1)


def test_frames_without_edges_make_a_batch():
    lone = molecules(3, sizes=(1,))
    batch = Collator(build_dataset(lone, 4.5), STATISTICS)(np.arange(3))
    assert batch.inputs.mask.shape == (3, 1)
    assert not batch.inputs.mask.any()
