"""Pages train small models, as the trainer's tests do."""

from tests.training.conftest import one_thread

__all__ = ["one_thread"]
