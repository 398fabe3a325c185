"""Both phases of a soak test, and everything that must hold."""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from app.store.store import ModelStore
from tests.soak.bad import bad_requests
from tests.soak.good import Good, good_requests
from tests.soak.load import Phase, load
from tests.soak.plan import RELOADED, Plan
from tests.soak.service import Service, next_card, reload, serving

TEMPORARY = 8
"""Files and connections that the service may have open beyond those before a phase."""


@dataclass(frozen=True)
class Check:
    """One thing that must hold."""

    name: str
    holds: bool
    seen: str


@dataclass(frozen=True)
class Result:
    """Both phases, and what was checked."""

    alone: Phase
    mixed: Phase
    checks: list[Check]

    def __str__(self) -> str:
        lines = ["| | well-behaved alone | with misbehaved |", "|---|---:|---:|"]
        phases = (self.alone, self.mixed)
        rows: dict[str, list[str]] = {
            "requests": [str(sum(p.sent.values())) for p in phases],
            "good answers": [str(sum(p.by_model.values())) for p in phases],
            "faults": [str(len(p.faults)) for p in phases],
            **{f"p{n}, ms": [f"{p.percentile(n):.1f}" for p in phases] for n in (50, 95, 99)},
            "resident memory at the end, MB": [f"{p.settled:.0f}" for p in phases],
        }
        lines += [f"| {name} | {' | '.join(values)} |" for name, values in rows.items()]
        lines += ["", *(f"{'ok  ' if c.holds else 'FAIL'} {c.name}: {c.seen}" for c in self.checks)]
        return "\n".join(lines)


def run(source: Path, plan: Plan) -> Result:
    """Both phases of a plan on the models of a store."""
    bad = [request for name in plan.models for request in bad_requests(name, name == RELOADED)]
    with serving(source, plan) as service:
        good = [request for name in plan.models for request in _good(service.store, name)]
        alone = asyncio.run(load(service, plan, good, [], lambda: None))
        files = service.open_files()
        mixed = asyncio.run(load(service, plan, good, bad, lambda: reload(service)))
        return Result(alone, mixed, _checks(plan, service, alone, mixed, files))


def _good(store: ModelStore, name: str) -> list[Good]:
    versions = [store.load(name)]
    if name == RELOADED:
        with tempfile.TemporaryDirectory() as folder:
            other = ModelStore(Path(folder))
            with other.publish(next_card(store)):
                pass
            return good_requests([*versions, other.load(name)])
    return good_requests(versions)


def _checks(plan: Plan, service: Service, alone: Phase, mixed: Phase, files: int) -> list[Check]:
    faults = alone.faults + mixed.faults
    ratio = mixed.percentile(95) / alone.percentile(95)
    growth = max(mixed.settled - alone.settled, 0.0)
    creep = max(mixed.memory[-1] - mixed.memory[2 * len(mixed.memory) // 3], 0.0)
    served, waiting, left = (
        service.served(),
        service.metric("equipot_queue_depth"),
        service.open_files(),
    )
    new = mixed.by_model[f"{RELOADED}@2"]
    return [
        Check(
            "every request got the answer due to it",
            not faults,
            "; ".join(faults[:5]) or "no fault",
        ),
        Check(
            "the new version answered after the reload",
            new > 0,
            f"{new} answers, served: {', '.join(served)}",
        ),
        Check("the old version left", f"{RELOADED}@1" not in served, ", ".join(served)),
        Check("nothing waits at the end", waiting == 0, f"{waiting:g} structures"),
        Check(
            "no connection is left open", left <= files + TEMPORARY, f"{left} files, {files} before"
        ),
        Check(
            f"memory grew by at most {plan.growth:g} MB", growth <= plan.growth, f"{growth:.1f} MB"
        ),
        Check(
            f"of that, in the last third, at most {plan.creep:g} MB",
            creep <= plan.creep,
            f"{creep:.1f} MB",
        ),
        Check(f"p95 grew to at most {plan.factor:g} times", ratio <= plan.factor, f"{ratio:.2f}"),
    ]
