"""Recipes train small models, as the trainer's tests do."""

from tests.training.conftest import one_thread, settings_of_torch

__all__ = ["one_thread", "settings_of_torch"]
