"""Workers of a Ray cluster: how many there may be, whether they are of the same version, and what it
means where one has ended.
"""

import platform
from dataclasses import dataclass
from typing import Any

from app import __version__
from app.errors import BackendError, EquipotError, Unavailable

START_FAILURES = 3
"""Workers in a row that may end while they start."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What each worker has.

    Attributes:
        workers: how many there are; None for as many as have room.
        cores: of each.
        gpus: of each; a fraction shares one.
    """

    workers: int | None = None
    cores: float = 1.0
    gpus: float = 0.0


def wanted(resources: Resources) -> int:
    """How many workers there are to be, on the cluster that this process is a driver of.

    Raises:
        Unavailable: the cluster can never hold one, or not so many.
    """
    import ray

    there = ray.cluster_resources()
    room = [there.get("CPU", 0.0) / resources.cores] if resources.cores else []
    room += [there.get("GPU", 0.0) / resources.gpus] if resources.gpus else []
    most = int(min(room)) if room else 1
    if most < (resources.workers or 1):
        raise Unavailable(
            f"the cluster has {there.get('CPU', 0):g} CPUs and {there.get('GPU', 0):g} GPUs, room "
            f"for {most} workers of {resources.cores:g} and {resources.gpus:g}, and "
            f"{resources.workers or 1} are wanted; say --workers, --worker-cpus or --worker-gpus"
        )
    return resources.workers or most


def check_version(version: str, asker: str) -> None:
    """Whether the Equipot of this machine is that of who asks.

    Raises:
        Unavailable: it is another one; names both and the machine.
    """
    if version != __version__:
        raise Unavailable(
            f"{platform.node()} has equipot {__version__}, and {asker} is of equipot {version}; install the "
            "same on all machines"
        )


def check_starts(early_ends: int, told: str) -> None:
    """Whether to go on although workers have ended before they had a model.

    Args:
        early_ends: so many in a row.
        told: what Ray says of the last one.

    Raises:
        Unavailable: too many, or one that can never start.
    """
    if early_ends >= START_FAILURES or "No module named" in told:
        raise Unavailable(
            f"workers end while they start: {told[:600]}; is equipot installed on "
            "all machines of the cluster, with the same extras?"
        )


def own_error(error: Any) -> EquipotError:
    """What a worker raised on purpose, or else what nobody expected."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, EquipotError):
        return cause
    return BackendError(f"a worker failed: {cause or error}")
