"""Several files of one run: patterns, weights, and which of them may lack labels."""

import re

import numpy as np
import pytest

from app.errors import InvalidData
from app.training.data.config import Data, Source
from app.training.data.load import Finder, load_dataset, load_frames, load_sources
from app.training.evaluation.predictors import run_predictor
from app.training.loop.display import Display
from app.training.loop.problem import load_problem
from app.training.run import train_model
from app.training.runs.folder import RunFolder
from app.training.runs.trained import TrainedRun
from tests.training.labelled import crystals, molecules, tiny_config, write


def without_stress(atoms):
    atoms.calc.results.pop("stress", None)


def load(folder, *sources):
    return load_dataset([Source(**source) for source in sources], Finder(folder), 4.5, "float64")


def test_a_pattern_stands_for_its_files_in_the_order_of_their_names(tmp_path):
    for name in ("b-2.xyz", "b-1.xyz", "b-10.xyz", "c.xyz"):
        write(tmp_path / name, molecules(2))
    found = load(tmp_path, {"path": "b-*.xyz", "index": ":1"}, {"path": "c.xyz"})
    assert [frame.origin for frame in found] == [
        "b-1.xyz, frame 0",
        "b-10.xyz, frame 0",
        "b-2.xyz, frame 0",
        "c.xyz, frame 0",
        "c.xyz, frame 1",
    ]


def test_files_of_several_folders_keep_their_names_apart(tmp_path):
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "train.xyz", molecules(1))
    assert [frame.file for frame in load(tmp_path, {"path": "*/train.xyz"})] == [
        "x/train.xyz",
        "y/train.xyz",
    ]


def test_a_pattern_that_nothing_matches_is_named(tmp_path):
    with pytest.raises(InvalidData, match=r"no data file b-\*\.xyz; looked for"):
        load(tmp_path, {"path": "b-*.xyz"})


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path):
    write(tmp_path / "a[1].xyz", molecules(2))
    write(tmp_path / "a1.xyz", molecules(3))
    assert len(load(tmp_path, {"path": "a[1].xyz"})) == 2


def test_mixed_files_keep_their_weights_through_split_and_batch(tmp_path):
    write(tmp_path / "a.xyz", molecules(6))
    write(tmp_path / "b.xyz", crystals(6))
    half, rest = {"path": "b.xyz", "index": ":3"}, {"path": "b.xyz", "index": "3:", "weight": 5}
    files = [{"path": "a.xyz", "weight": 3}, half, rest]
    config = tiny_config(data={"train": files, "split": {"validation": 4}})
    collator = load_problem(config, Finder(tmp_path)).train
    expected = [3 if f.file == "a.xyz" else 1 if f.index < 3 else 5 for f in collator.dataset]
    assert set(expected) == {1, 3, 5}
    assert collator(np.arange(8)).targets.weight.tolist() == expected
    assert [f.weight for f in collator.dataset] == expected


def test_a_bulk_frame_without_stress_is_named_where_the_loss_counts_stresses(tmp_path):
    write(tmp_path / "a.xyz", [*molecules(4), *crystals(6)])
    write(tmp_path / "b.xyz", crystals(4), without_stress)

    def config(stress, **keys):
        data = {"train": ["a.xyz", {"path": "b.xyz", **keys}], "validation": "a.xyz"}
        return tiny_config(data=data, loss={"stress": stress})

    with pytest.raises(
        InvalidData,
        match=r"b\.xyz, frame 0: no stress, but loss\.stress is 2 \(4 such frames\); set miss",
    ):
        load_problem(config(2), Finder(tmp_path))
    load_problem(config(0), Finder(tmp_path))
    batch = load_problem(config(2, missing_stress=True), Finder(tmp_path)).train(np.arange(14))
    assert batch.targets.has_stress.tolist() == [False] * 4 + [True] * 6 + [False] * 4


def test_stresses_of_validation_frames_count_too(tmp_path):
    write(tmp_path / "a.xyz", crystals(6))
    write(tmp_path / "b.xyz", crystals(4), without_stress)
    config = tiny_config(data={"train": "a.xyz", "validation": "b.xyz"}, loss={"stress": 1})
    with pytest.raises(InvalidData, match=r"b\.xyz, frame 0: no stress"):
        load_problem(config, Finder(tmp_path))


def test_forces_of_some_atoms_only_are_refused(tmp_path):
    def spoil(atoms):
        forces = atoms.calc.results["forces"].copy()
        forces[0] = np.nan
        atoms.calc.results["forces"] = forces

    write(tmp_path / "a.xyz", molecules(2), spoil)
    with pytest.raises(
        InvalidData,
        match=r"a\.xyz, frame 0: forces holds nan; all atoms have one, or the frame has none",
    ):
        load(tmp_path, {"path": "a.xyz", "missing_forces": True})


def test_a_file_without_frames_among_others_is_named(tmp_path):
    write(tmp_path / "a.xyz", molecules(3))
    (tmp_path / "b.xyz").write_text("")
    with pytest.raises(InvalidData, match=r"^b\.xyz: "):
        load_frames(Data(train=["a.xyz", "b.xyz"]), Finder(tmp_path), 4.5, "float64")


def test_a_model_is_not_evaluated_on_elements_that_it_lacks(tmp_path):
    neon = [f for f in molecules(40, sizes=[2]) if set(f.structure.symbols) == {"Ne"}]
    write(tmp_path / "train.xyz", neon)
    display = Display(1)
    data = {"train": "train.xyz", "split": {"validation": 2}}
    train_model(
        tiny_config(data=data, epochs=1), RunFolder(tmp_path / "run"), Finder(tmp_path), display
    )
    display.close()
    predict = run_predictor(TrainedRun(tmp_path / "run"), "cpu", 1, 8)
    with pytest.raises(
        InvalidData, match=r"made\.xyz, frame \d: Ar is not among the elements of the model: Ne"
    ):
        predict(molecules(4))


def test_a_missing_file_is_named_with_the_places_looked_at(tmp_path):
    with pytest.raises(
        InvalidData,
        match=re.escape(f"looked for {tmp_path / 'root' / 'a.xyz'} and {tmp_path / 'a.xyz'}"),
    ):
        Finder(tmp_path, tmp_path / "root")("a.xyz")


def test_the_data_root_comes_before_the_config_s_folder(tmp_path):
    (tmp_path / "root").mkdir()
    for folder in (tmp_path, tmp_path / "root"):
        (folder / "a.xyz").touch()
    assert Finder(tmp_path, tmp_path / "root")("a.xyz") == tmp_path / "root" / "a.xyz"
    assert Finder(tmp_path)("a.xyz") == tmp_path / "a.xyz"


def test_a_slice_without_frames_is_named(tmp_path):
    write(tmp_path / "a.xyz", molecules(3))
    with pytest.raises(InvalidData, match=r"a\.xyz: no frames in 5:"):
        load_sources([Source(path="a.xyz", index="5:")], Finder(tmp_path))


@pytest.mark.parametrize(
    ("fixed", "message"), [(["Ne"], "of data.elements: Ne"), (None, "of the training frames: Ne")]
)
def test_an_unknown_element_is_named(tmp_path, fixed, message):
    neon = [f for f in molecules(40, sizes=[2]) if set(f.structure.symbols) == {"Ne"}]
    write(tmp_path / "train.xyz", neon)
    write(tmp_path / "validation.xyz", molecules(4))
    config = Data(train="train.xyz", validation="validation.xyz", elements=fixed)
    with pytest.raises(
        InvalidData, match=rf"validation\.xyz, frame \d: Ar is not among the elements {message}"
    ):
        load_frames(config, Finder(tmp_path), 4.5, "float64")


def test_an_empty_set_is_named(tmp_path):
    write(tmp_path / "train.xyz", molecules(4))
    with pytest.raises(InvalidData, match="the validation set is empty"):
        load_frames(
            Data(train="train.xyz", split={"validation": 0}), Finder(tmp_path), 4.5, "float64"
        )
