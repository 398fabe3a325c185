"""What each of several processes has of what the settings give to all."""

import math

from app.backends.device import Device
from app.errors import InvalidRequest
from app.machine import free_memory, worker_threads
from app.settings import Settings

PART = 2
"""Of the memory that is free, evaluations may take this part, as in a single process."""


def settings_of_each(settings: Settings) -> Settings:
    """The settings of one of the processes.

    Args:
        settings: of the service.

    Raises:
        InvalidRequest: they cannot be shared; says which, and what to do.
    """
    number = settings.processes
    if Device.of(settings.device).is_cuda:
        raise InvalidRequest(
            f"setting processes: {number}, with device '{settings.device}': a GPU is for one process; "
            "leave processes away, or start a service for each GPU"
        )

    def share(of_all: int, least: int = 1) -> int:
        return max(math.ceil(of_all / number), least)

    memory = settings.memory_mb or int(free_memory() / PART / 1e6)
    return settings.model_copy(
        update={
            "threads": settings.threads or max(1, worker_threads(0) // number),
            "memory_mb": share(memory),
            "answer_cache": type(settings.answer_cache)(settings.answer_cache // number),
            "queue_structures": share(settings.queue_structures, settings.max_structures),
            "queue_atoms": share(settings.queue_atoms, settings.max_request_atoms),
            "max_bodies_bytes": share(settings.max_bodies_bytes, settings.max_body_bytes),
            "max_connections": share(settings.max_connections),
        }
    )
