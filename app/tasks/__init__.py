"""Tasks: what a chemist asks as a whole, made of relaxations and of batches of single points.

A task is described once, by a `TaskKind`: its options, its result, and a coroutine that runs it for one
structure by the model's queue. Routes, their schemas, the client, the command line and the tools of
language models follow from that.
"""

from app.errors import UnknownTask
from app.tasks.asking import WHOLE, Asking, Chemist, Course, Stage
from app.tasks.conformers.conformers import CONFORMERS
from app.tasks.crystals.elastic import ELASTIC
from app.tasks.crystals.eos import EOS
from app.tasks.differences.energies_of import ENERGIES_OF
from app.tasks.kind import Done, KeptValue, TaskCall, TaskKind, TaskLimits, TaskOptions, TaskValue
from app.tasks.md.md import MD
from app.tasks.neb.neb import NEB
from app.tasks.phonons.phonons import PHONONS
from app.tasks.scan.scan import SCAN
from app.tasks.thermo.thermo import THERMO

TASKS: dict[str, TaskKind] = {
    kind.name: kind
    for kind in (
        THERMO,
        CONFORMERS,
        SCAN,
        ENERGIES_OF,
        EOS,
        ELASTIC,
        PHONONS,
        MD,
        NEB,
    )
}
"""All of them, by their names."""


def task_named(name: str) -> TaskKind:
    """The task of a name.

    Raises:
        UnknownTask: there is none.
    """
    if name not in TASKS:
        raise UnknownTask(f"no task '{name[:80]}'; there are {', '.join(TASKS)}")
    return TASKS[name]


__all__ = [
    "TASKS",
    "WHOLE",
    "Asking",
    "Chemist",
    "Course",
    "Done",
    "KeptValue",
    "Stage",
    "TaskCall",
    "TaskKind",
    "TaskLimits",
    "TaskOptions",
    "TaskValue",
    "task_named",
]
