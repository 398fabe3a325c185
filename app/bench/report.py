"""What was measured, as text for a person; takes the same document that `--json` writes."""

from collections.abc import Callable, Sequence
from typing import Any

MILLION = 1_000_000
Results = dict[str, Any]


def heading(results: Results) -> str:
    """The model, the machine, and the largest batch."""
    machine, budget = results["machine"], results["budget"]
    rows = [
        ("model", results["model"]["reference"]),
        ("machine", machine["processor"]),
        ("runs on", f"{machine['device']}, threads: {machine['threads']}, {machine['runtime']}"),
        (
            "largest batch",
            f"{budget['atoms']} atoms, {budget['edges']} edges, {budget['structures']} structures, "
            f"{1e3 * budget['seconds']:.0f} ms ({budget['source']})",
        ),
    ]
    return _table(rows, right=False)


def backend(results: Results) -> str:
    """Batches on the backend alone."""
    rows = [("BACKEND ALONE", "BATCH", "MS", "STRUCTURES/S", "ATOMS/S", "CPU MS EACH")]
    for kind in results["backend"]:
        for speed in kind["batches"]:
            rate = speed["rate"]
            each = rate * speed["atoms"] / speed["structures"]
            mark = " (best)" if speed == kind["best"] else ""
            numbers = (f"{speed['ms']:.2f}", f"{rate:.1f}", f"{each:.0f}", f"{speed['cpu_ms']:.2f}")
            rows.append((kind["sample"] + mark, str(speed["structures"]), *numbers))
    return _table(rows)


def relax(results: Results) -> str:
    """Relaxations in flight."""
    speed = results["relax"]
    rows = [
        (
            "RELAXATIONS",
            "IN FLIGHT",
            "A SECOND",
            "ATOMS × STEPS/S",
            "STEPS EACH",
            "CONVERGED",
            "IN THE BACKEND",
        ),
        (
            f"{speed['sample']}, {speed['fmax']:g} eV/Å",
            str(speed["in_flight"]),
            f"{speed['rate']:.2f}",
            f"{speed['atom_steps']:.0f}",
            f"{speed['steps']:.0f}",
            f"{speed['converged']} of {speed['relaxations']}",
            f"{speed['backend_share']:.0%}",
        ),
    ]
    return _table(rows)


def service(results: Results) -> str:
    """The service under load."""
    part = results["service"]
    rows = [
        (
            "SERVICE",
            "CLIENTS",
            "REQUESTS/S",
            "OF BEST BATCH",
            "WITHOUT CLIENTS",
            "CPU MS EACH",
            "CLIENTS' CPU MS",
            "P50 MS",
            "P90 MS",
            "P99 MS",
        )
    ]
    for load in part["loads"]:
        shares = [_number(load[name], ".0%") for name in ("share", "share_without_clients")]
        names = ("cpu_ms", "client_cpu_ms", "p50", "p90", "p99")
        times = [_number(load[name], ".2f") for name in names]
        rows.append((part["sample"], str(load["clients"]), f"{load['rate']:.1f}", *shares, *times))
    number = part["processes"]
    who = "" if number == 1 else f"{number} processes, "
    memory = f"{_number(part['ready_mb'], '.0f')} MB resident then, {_number(part['busy_mb'], '.0f')} MB after the load"
    return f"{_table(rows)}\n{who}ready after {part['ready_after']:.2f} s, {memory}"


PARTS: dict[str, Callable[[Results], str]] = {
    "backend": backend,
    "relax": relax,
    "service": service,
}


def sizing(results: Results) -> str:
    """What the planned structures, or a million, cost on nodes like this machine."""
    plan = results.get("plan", {"structures": MILLION, "nodes": 1})
    count, nodes = plan["structures"], plan["nodes"]
    title = "A MILLION OF" if count == MILLION else f"{count:,} OF"
    where = "TAKES" if nodes == 1 else f"TAKES ON {nodes} NODES"
    rows = [(title, "ASKED FOR", "A SECOND", where)]

    def cost(rate: float) -> tuple[str, str]:
        return f"{nodes * rate:.3g}", duration(count / (nodes * rate))

    for kind in results.get("backend", []):
        rows.append(
            (kind["sample"], "energy and forces, backend alone", *cost(kind["best"]["rate"]))
        )
    if "service" in results:
        most = max(results["service"]["loads"], key=lambda load: float(load["rate"]))
        asked = f"energy and forces, {most['clients']} clients"
        rows.append((results["service"]["sample"], asked, *cost(most["rate"])))
    if "relax" in results:
        rows.append((results["relax"]["sample"], "relaxation", *cost(results["relax"]["rate"])))
    return _table(rows, right=False)


def duration(seconds: float) -> str:
    """A time that is to be planned with."""
    hours = seconds / 3600
    return f"{hours:.3g} hours" if hours < 48 else f"{hours / 24:.3g} days"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _table(rows: Sequence[Sequence[str]], right: bool = True) -> str:
    """Aligned columns; all but the first to the right, if wanted."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for first, *rest in rows:
        pairs = zip(rest, widths[1:], strict=True)
        cells = [cell.rjust(width) if right else cell.ljust(width) for cell, width in pairs]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)
