"""Configs: what is read, what is refused and how the message helps, and that every key is
documented.
"""

import re
from pathlib import Path

import pytest
import yaml

from app.errors import InvalidConfig
from app.training.runs.config_file import (
    differences,
    dump_config,
    known_keys,
    load_config,
    parse_config,
)
from tests.paths import ROOT

MINIMAL = {"data": {"train": "train.xyz"}, "model": {"architecture": "allegro"}}
RECIPES = sorted((ROOT / "recipes").glob("*/*.yaml"))


def written(tmp_path, content):
    path = tmp_path / "config.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_a_minimal_config_has_defaults(tmp_path):
    config = load_config(written(tmp_path, MINIMAL))
    assert config.data.train[0].path == "train.xyz"
    assert (config.loss.kind, config.loss.forces_per) == ("mae", "vector")
    assert config.references == "least_squares"


def test_a_dumped_config_is_complete_and_reads_back(tmp_path):
    config = parse_config(MINIMAL, "test")
    text = dump_config(config)
    assert load_config(written(tmp_path, text)) == config
    assert set(yaml.safe_load(text)["loss"]) == {
        "energy",
        "forces",
        "stress",
        "kind",
        "energy_per",
        "huber_delta",
        "changes",
        "forces_per",
    }


def test_overrides_win_and_are_yaml(tmp_path):
    path = written(tmp_path, {**MINIMAL, "epochs": 5, "schedule": None})
    overrides = [
        "epochs=7",
        "schedule.kind=plateau",
        "data.train=[a.xyz, b.xyz]",
        "data.train.1={path: c.npz, units: {}}",
    ]
    config = load_config(path, overrides)
    assert config.epochs == 7
    assert config.schedule.kind == "plateau"
    assert [source.kind for source in config.data.train] == ["extxyz", "npz"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs", "write key=value"),
        ("=3", "write key=value"),
        ("epochs=[1", "the value is not YAML"),
        ("epochs.of=3", "which has no keys"),
        ("data.train.x=3", "which has no keys"),
    ],
)
def test_an_override_that_makes_no_sense_is_named(tmp_path, override, message):
    with pytest.raises(
        InvalidConfig, match=re.escape(f"--set {override}: ") + ".*" + re.escape(message)
    ):
        load_config(written(tmp_path, {**MINIMAL, "epochs": 5}), [override])


def test_an_override_beyond_a_list_is_named(tmp_path):
    with pytest.raises(InvalidConfig, match="'3' is no position in a list of 1"):
        load_config(
            written(tmp_path, {**MINIMAL, "data": {"train": ["a.xyz"]}}), ["data.train.3=b.xyz"]
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 3}, "'epoch' is no key; did you mean 'epochs'?"),
        (
            {"optimizer": {"learning_rate": 1}},
            "'optimizer.learning_rate' is no key; allowed here: name, lr, betas",
        ),
        (
            {"model": {"architecture": "allegro", "lmax": 1}},
            "'model.lmax' is no key; did you mean 'model.l_max'?",
        ),
        (
            {"model": {"architecture": "equiformer", "num_layers": 1}},
            "'model.num_layers' is no key; did you mean",
        ),
        (
            {"model": {"architecture": "equiformer", "latent_mlp": [8]}},
            "'model.latent_mlp' is no key; allowed here: architecture, cutoff, takes_charge, repulsion, binding, l_max",
        ),
        (
            {"model": {"architecture": "equiformer", "l_max": 1}},
            "channels has 3 entries; l_max 1 needs 2",
        ),
        (
            {"model": {"architecture": "perceptron"}},
            "model.architecture = 'perceptron': choose one of: allegro, ",
        ),
        ({"model": {"cutoff": 4.0}}, "'model.architecture' is missing; choose one of: allegro, "),
        (
            {"model": {"cutoff": -1, "architecture": "allegro"}},
            "model.cutoff = -1: Input should be greater than 0",
        ),
        ({"data": {}}, "'data.train' is missing"),
        ({"data": {"train": []}}, "data.train = "),
        ({"data": {"train": "a.npz"}}, "npz files carry no units; add units"),
        (
            {"data": {"train": {"path": "a.npz", "units": {"energy": "kcal"}}}},
            "data.train.units.energy = 'kcal': choose",
        ),
        ({"data": {"train": {"path": "a.xyz", "units": {"force": "eV"}}}}, "choose one of: eV/Å"),
        ({"data": {"train": {"path": "a.xyz", "index": "first"}}}, "write a slice such as"),
        ({"data": {"train": "a.xyz", "elements": ["H", "Xx"]}}, "'Xx' is no chemical symbol"),
        ({"data": {"train": "a.xyz", "elements": ["H", "H"]}}, "an element stands twice"),
        ({"data": {"train": "a.xyz", "split": {"validation": 1.5}}}, "data.split.validation = 1.5"),
        ({"optimizer": {"lr": 0}}, "optimizer.lr = 0: Input should be greater than 0"),
        (
            {"optimizer": {"name": "sgd"}},
            "optimizer.name = 'sgd': Input should be 'adam', 'adamw' or 'muon'",
        ),
        ({"schedule": {"kind": "step"}}, "'constant', 'cosine', 'exponential' or 'plateau'"),
        ({"loss": {"energy": 0, "forces": 0}}, "all weights are zero"),
        ({"loss": {"changes": [{"epoch": 2, "energy": 0, "forces": 0}]}}, "all weights are zero"),
        (
            {"loss": {"changes": [{"epoch": 2, "over": 3}, {"epoch": 4}]}},
            "epoch 4 begins before the one before it",
        ),
        (
            {"loss": {"changes": [{"epoch": 2, "energie": 3}]}},
            "'loss.changes.energie' is no key; did you mean",
        ),
        ({"ema": 1.0}, "ema = 1.0: Input should be less than 1"),
        ({"max_minutes": float("nan")}, "max_minutes = nan"),
        ({"references": "guess"}, "references = 'guess'"),
        ({"references": {"H": "low"}}, "references = 'low'"),
        ({"dtype": "float16"}, "dtype = 'float16': Input should be 'float32' or 'float64'"),
        ({"batch_size": "many"}, "batch_size = 'many'"),
    ],
)
def test_errors_name_the_key_the_value_and_what_is_allowed(changes, message):
    with pytest.raises(InvalidConfig, match=re.escape(message)):
        parse_config({**MINIMAL, **changes}, "test")


@pytest.mark.parametrize(
    ("content", "message"), [("a: [", "not YAML"), ("- 1", "expected keys"), ("", "expected keys")]
)
def test_a_file_that_is_no_config_is_named(tmp_path, content, message):
    path = written(tmp_path, content)
    with pytest.raises(InvalidConfig, match=f"{path}.*{message}"):
        load_config(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InvalidConfig, match=r"nowhere.yaml: No such file"):
        load_config(tmp_path / "nowhere.yaml")


def test_differences_are_dotted_keys_with_both_values():
    old, new = ({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 1, "c": 3}, "d": [2], "e": None})
    assert differences(old, new) == {"a.c": (2, 3), "d": ([1], [2])}


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_recipes_are_sound_and_hold_no_machine_paths(path):
    content = yaml.safe_load(path.read_text())
    if "data" not in content:
        pytest.skip("not a training config")
    if "start" in content:
        content["model"] = yaml.safe_load(path.with_name("config.yaml").read_text())["model"]
    config = parse_config(content, str(path))
    sources = (*config.data.train, *config.data.validation, *config.data.test)
    assert not [source.path for source in sources if Path(source.path).is_absolute()]


def test_every_key_is_documented():
    page = (ROOT / "docs" / "training.md").read_text()
    keys = {re.sub(r"^data\.(validation|test)\.", "data.train.", key) for key in known_keys()}
    assert [key for key in sorted(keys) if f"| `{key}` |" not in page] == []
