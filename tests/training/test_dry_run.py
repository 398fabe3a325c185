"""What a dry run says: counts by hand, and memory that grows with the batch."""

import re

import numpy as np
import pytest

from app.training.data.batches import Collator
from app.training.data.dataset import build_dataset
from app.training.data.load import Finder
from app.training.dry_run import describe_frames, describe_run, kept_bytes, slots
from app.training.models import Statistics, build_model
from tests.training.labelled import REFERENCES, crystals, molecules, tiny_config, write


def test_a_set_is_summed_up():
    frames = [*molecules(3, sizes=(2, 3, 4)), *crystals(1)]
    square = np.mean(np.concatenate([f.forces for f in frames]) ** 2)
    text = describe_frames("train", build_dataset(frames, 4.5))
    assert text.startswith("train: 4 frames (4 of made.xyz); 13 atoms, 2 to 4 a frame (Ne ")
    assert text.endswith(f"force RMS {square**0.5:.4g} eV/Å; 4 with forces, 1 with stress")


def test_memory_of_a_step_is_proportional_to_the_slots():
    statistics = Statistics(
        elements=("Ne", "Ar"), atomic_energies=REFERENCES, force_scale=1.0, average_neighbors=4.0
    )
    dataset = build_dataset(molecules(1, sizes=(9,)) * 8, 4.5)
    model = build_model(tiny_config().model, statistics)
    two, eight = (np.arange(count) for count in (2, 8))
    kept = [
        kept_bytes(model, Collator(dataset, statistics), indices, True) for indices in (two, eight)
    ]
    assert slots(dataset, eight) == 4 * slots(dataset, two) == 8 * 9 * 8
    assert kept[1] / kept[0] == pytest.approx(4, rel=0.1)
    assert kept[0] > 100 * 4 * slots(dataset, two)


def test_larger_batches_take_more_memory_unless_they_are_computed_in_pieces(tmp_path):
    write(tmp_path / "train.xyz", molecules(40))

    def memory(size, **keys):
        text = describe_run(tiny_config(batch_size=size, **keys), Finder(tmp_path))
        return int(re.search(r"largest (batch|piece) .* (\d+), weights", text)[2])

    assert memory(32) > 4 * memory(4)
    assert memory(32) > 4 * memory(32, edges_at_once=30)
