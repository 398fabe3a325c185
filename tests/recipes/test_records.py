"""The scripts behind docs/accuracy.md, on a tiny run."""

import numpy as np
import pytest
import yaml
from PIL import Image

from app.cli.main import main
from recipes.records.collect import MOST_LINES, collect, thinned
from recipes.records.figures import draw
from recipes.records.images import LARGEST, shrink
from recipes.records.published import counterpart
from recipes.records.records import records
from recipes.records.table import table
from tests.paths import ROOT
from tests.training.labelled import TINY, molecules, write


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with data, a config, and what it has trained."""
    folder = tmp_path_factory.mktemp("project")
    write(folder / "train.xyz", molecules(24))
    write(folder / "test.xyz", molecules(8, seed=1))
    content = {
        "data": {
            "train": str(folder / "train.xyz"),
            "test": "test.xyz",
            "split": {"validation": 6},
        },
        "model": TINY,
        "epochs": 2,
        "threads": 1,
    }
    (folder / "base.yaml").write_text(yaml.safe_dump(content))
    assert main(["train", str(folder / "base.yaml"), "--run", str(folder / "run")]) == 0
    return folder


def test_a_record_holds_what_tables_and_figures_need(project, tmp_path):
    collect(project / "run", tmp_path / "runs" / "rmd17-aspirin" / "tiny")
    (record,) = records(tmp_path / "runs")
    assert record.config["data"]["train"][0]["path"] == "train.xyz"
    assert str(project) not in (record.folder / "config.yaml").read_text()
    assert (record.data, record.name, record.model, record.epochs) == (
        "rmd17-aspirin",
        "tiny",
        "Allegro",
        2,
    )
    shown = table(record.data, [record])
    ratio = record.test["forces_mae"] / counterpart("rmd17-aspirin", "Allegro").forces
    assert shown.splitlines()[2].startswith("| tiny | ")
    assert shown.splitlines()[2].endswith(f" | {ratio:.2f} |")
    assert "*MACE* (Batatia" in shown
    names = {path.name for path in draw([record], tmp_path)}
    assert names == {"rmd17-aspirin-learning-curves.png", "rmd17-aspirin-elements.png", "cost.png"}
    for path in [*tmp_path.glob("*.png"), record.folder / "parity.png"]:
        assert 5_000 < path.stat().st_size <= LARGEST


def test_energies_alone_make_a_table_and_figures(tmp_path):
    record = next(record for record in records() if record.data == "qm9")
    ratio = record.test["energy_mae"] / counterpart("qm9", "Allegro").energy
    assert table("qm9", [record]).splitlines()[2].endswith(f" | – | {ratio:.2f} | – |")
    assert {path.name for path in draw([record], tmp_path)} == {
        "qm9-learning-curves.png",
        "cost.png",
    }


def test_a_run_that_has_not_ended_is_no_record(tmp_path):
    with pytest.raises(SystemExit, match=r"metrics\.json is missing"):
        collect(tmp_path, tmp_path / "record")


def test_long_curves_are_thinned_but_for_their_ends_and_the_best_evaluation():
    losses = np.linspace(2, 1, 5000)
    losses[1234] = 0.5
    kept = thinned(losses)
    assert len(kept) <= MOST_LINES
    assert {0, 1234, 4999} <= set(kept)


def test_large_pictures_are_shrunk(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    shrink(tmp_path / "noise.png")
    assert (tmp_path / "noise.png").stat().st_size <= LARGEST


def test_the_document_has_the_tables_of_all_records():
    text = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8")
    collected = records()
    for data in {record.data for record in collected}:
        assert table(data, [record for record in collected if record.data == data]) in text
