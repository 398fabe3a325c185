"""Labels are trained on, as in the trainer's tests."""

from tests.training.conftest import one_thread, settings_of_torch

__all__ = ["one_thread", "settings_of_torch"]
