"""The scripts of a recipe, which is a folder outside any package."""

import importlib
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType

import pytest

from tests.paths import ROOT

RECIPES = ROOT / "recipes"
ORGANIC_XTB = (
    "identity", "exclusion", "groups", "tables", "small", "built", "states", "molecules", "assignment",
    "force_field", "distortions", "complexes", "reference", "geometries", "rounds", "statistics_of", "split",
    "selection",
)  # fmt: skip
"""Modules of `organic-xtb` that make its data, those that others import first."""


def recipe_modules(
    monkeypatch: pytest.MonkeyPatch, recipe: str, names: Sequence[str]
) -> Iterator[dict[str, ModuleType]]:
    """The modules by name, for one test: other recipes have modules of the same names."""
    monkeypatch.syspath_prepend(str(RECIPES / recipe))
    yield {name: importlib.import_module(name) for name in names}
    for name in names:
        del sys.modules[name]
