"""What the settings say to each part of the service."""

import sys
from dataclasses import replace

from app.engine.admission import QueueLimits
from app.engine.limits import BULK, BatchLimits
from app.engine.potential import UNLIMITED, PotentialOptions
from app.protocol.request import RequestLimits
from app.relax import Safeguards
from app.settings import Settings


def potential_options(settings: Settings) -> PotentialOptions:
    """How each model is run."""
    return PotentialOptions(
        batch=batch_limits(settings),
        queue=QueueLimits(settings.queue_structures, settings.queue_atoms),
        max_atoms=settings.max_atoms,
        max_edges=settings.max_edges,
        threads=settings.threads,
        device=settings.device,
        deterministic=settings.deterministic,
        backend=settings.backend,
    )


def bulk_options(settings: Settings) -> PotentialOptions:
    """How a model is run for one caller, without the limits that protect a service, and with batches
    that are large before they are early.
    """
    return replace(
        potential_options(settings),
        batch=replace(batch_limits(settings), shortest=BULK),
        queue=UNLIMITED,
        max_atoms=sys.maxsize,
        max_edges=sys.maxsize,
    )


def batch_limits(settings: Settings) -> BatchLimits:
    """How large a batch may be."""
    return BatchLimits(
        atoms=settings.batch_atoms,
        edges=settings.batch_edges,
        structures=settings.batch_structures,
        seconds=settings.batch_seconds,
        memory=settings.memory_mb * 1_000_000,
    )


def request_limits(settings: Settings) -> RequestLimits:
    """How much one request may ask for."""
    return RequestLimits(
        structures=settings.max_structures,
        atoms=settings.max_request_atoms,
        relax_steps=settings.max_relax_steps,
        conformers=settings.max_conformers,
        evaluations=settings.max_task_evaluations,
        md_evaluations=settings.max_md_evaluations,
    )


def safeguards(settings: Settings) -> Safeguards:
    """Where a relaxation is given up."""
    return Safeguards(
        settings.max_relax_force,
        settings.max_relax_displacement,
        settings.max_task_evaluations,
        settings.max_md_evaluations,
    )
