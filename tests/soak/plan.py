"""What a soak test runs, and what it allows."""

from dataclasses import dataclass

RELOADED = "lennard-jones"
"""The model whose new version comes in the middle."""
PATIENCE = 60.0
"""Seconds after which a request counts as one without an answer."""


@dataclass(frozen=True)
class Plan:
    """What is run, and what is allowed.

    Attributes:
        models: of the store; `lennard-jones` is among them.
        seconds: of each phase.
        clients: in all.
        misbehaved: those of them that misbehave in the second phase.
        interval: s, between two requests of a client.
        factor: most that the 95th percentile may grow by in the second phase.
        growth: MB, most that the resident memory may grow by after the first phase: requests of the
            largest sizes coincide by chance, and what they took stays with the allocator.
        creep: MB, most that it may grow by in the last third of the second phase.
        threads: of the service.
    """

    models: tuple[str, ...] = ("organic-xtb", RELOADED)
    seconds: float = 300.0
    clients: int = 64
    misbehaved: int = 16
    interval: float = 1.0
    factor: float = 2.0
    growth: float = 80.0
    creep: float = 15.0
    threads: int = 0
