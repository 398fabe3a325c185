"""What is asked: a message as it came, and the request that is read from it."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self, TypeAlias

from app.access.caller import current_caller
from app.atoms.properties import DEFAULT, DERIVATIVES, Name
from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.backends.domain import OnOod
from app.errors import EquipotError, InvalidRequest, StructureTooLarge
from app.formats.frame import Frame
from app.formats.notation import Smiles
from app.formats.topology import Topology
from app.protocol.model_ref import ModelRef
from app.relax import RelaxOptions
from app.tasks import TaskCall, TaskKind, TaskLimits

Kind: TypeAlias = str
"""How a message is written: `json`, `msgpack`, a format of `app.formats.registry` (`FORMATS` of one that
asks, `WRITERS` of one that answers), or `files`, one or several of them.
"""


class Upload(NamedTuple):
    """A file as it came.

    Attributes:
        name: of the file; empty where it has none.
        content: of it, not compressed.
        kind: its format; None where name and content say it.
    """

    name: str
    content: bytes
    kind: Kind | None


@dataclass(frozen=True, slots=True)
class Message:
    """A request as it came.

    Attributes:
        kind: how the body is written.
        body: with the structures, and what is asked of them.
        query: names and values that came beside the body; what is asked of the structures of files.
        accepts: how the answer is to be written.
        files: of a body that holds several, which then is not looked at.
        before: frames and lines before the first ones of the body, where that is a part of a text;
            for messages.
        task: that is asked for; None where predictions are.
    """

    kind: Kind
    body: bytes
    query: Sequence[tuple[str, str]]
    accepts: Kind
    files: Sequence[Upload] = ()
    before: tuple[int, int] = (0, 0)
    task: TaskKind | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One structure as it was sent, or why it is none.

    Attributes:
        id: what its sender calls it.
        structure: the structure, the notation of a molecule of which a geometry is still to be made,
            or why it is neither.
        info: what else was said of it, which comes back with answers in formats of files.
        warnings: what of it was read with a doubt.
        topology: bonds and the states of single atoms, where they were stated.
        item: number, from 0, of the item of `structures` that it comes from, where that was a file or
            a SMILES, of which several entries may come.
        shown: whether an answer says what structure it is for, which the sender does not know.
        model: which of several default models is to answer it; None where the request has one model.
    """

    id: str | None
    structure: Structure | Smiles | EquipotError
    info: Mapping[str, object] = field(default_factory=dict)
    warnings: tuple[AnswerWarning, ...] = ()
    topology: Topology | None = None
    item: int | None = None
    shown: bool = False
    model: ModelRef | None = None

    @classmethod
    def of(cls, frame: Frame) -> Self:
        """The entry of a frame of a file."""
        return cls(frame.id, frame.structure, frame.info, frame.warnings, frame.topology)

    @property
    def n_atoms(self) -> int:
        """Atoms of its structure; none where there is no structure yet, or none at all."""
        return len(self.structure) if isinstance(self.structure, Structure) else 0

    @property
    def count(self) -> int:
        """How many structures it stands for."""
        return self.structure.conformers if isinstance(self.structure, Smiles) else 1


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """All that one request wants to know.

    Attributes:
        entries: its structures, in order.
        model: `name`, `name@version`, or None for the default, or what is chosen of several.
        properties: what to answer.
        relax: how to relax, or None.
        task: what is to be done beyond that, or None; then nothing is said of properties and relax.
        explicit: whether the properties were asked for by name.
        strict: whether a warning is an error.
        on_ood: whether what is out of the model's domain is answered with a warning or an error.
        allow_odd_electrons: whether models of closed shells answer for radicals, with a warning.
        caller: who asks, a key or else this request alone; callers take turns in the queue.
    """

    entries: list[Entry]
    model: str | None = None
    properties: tuple[Name, ...] = DEFAULT
    relax: RelaxOptions | None = None
    explicit: bool = False
    strict: bool = False
    on_ood: OnOod = "warn"
    allow_odd_electrons: bool = False
    task: TaskCall | None = None
    caller: Hashable = field(default_factory=current_caller)

    @property
    def derivatives(self) -> bool:
        """Whether any of the properties is a derivative of the energy."""
        return not DERIVATIVES.isdisjoint(self.properties)

    @property
    def structures(self) -> list[Structure]:
        """Those entries that are structures."""
        return [e.structure for e in self.entries if isinstance(e.structure, Structure)]

    @property
    def n_atoms(self) -> int:
        """Atoms of all structures."""
        return sum(map(len, self.structures))


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """How much one request may ask for.

    Attributes:
        structures: most structures.
        atoms: most atoms in all.
        relax_steps: most steps of a relaxation.
        conformers: most conformers of one SMILES.
        evaluations: most that a task may take for one structure besides its relaxations.
        md_evaluations: most of dynamics for one structure, in place of these.
    """

    structures: int
    atoms: int
    relax_steps: int
    conformers: int = 100
    evaluations: int = 3000
    md_evaluations: int = 100_000

    def check_structures(self, structures: int) -> None:
        """Whether a request may have so many.

        Raises:
            StructureTooLarge: it may not.
        """
        if structures > self.structures:
            raise StructureTooLarge(
                f"the request has more than {self.structures} structures, the most allowed "
                "(max_structures)"
            )

    def check_atoms(self, atoms: int) -> None:
        """Whether a request may have so many.

        Raises:
            StructureTooLarge: it may not.
        """
        if atoms > self.atoms:
            raise StructureTooLarge(
                f"the request has {atoms} atoms; at most {self.atoms} are allowed "
                "(max_request_atoms)"
            )

    def bounded(self, options: RelaxOptions) -> RelaxOptions:
        """How to relax within the limit: where no steps are stated, at most as many as it allows.

        Raises:
            InvalidRequest: more steps are stated.
        """
        if options.steps <= self.relax_steps:
            return options
        if "steps" not in options.model_fields_set:
            return options.model_copy(update={"steps": self.relax_steps})
        raise InvalidRequest(
            f"relax.steps: {options.steps}; at most {self.relax_steps} are allowed"
        )

    def bounded_task(self, task: TaskCall) -> TaskCall:
        """The same of a task.

        Raises:
            InvalidRequest: more steps or conformers are stated.
            StructureTooLarge: the answer for any structure takes more evaluations.
        """
        limits = TaskLimits(
            self.relax_steps, self.conformers, self.evaluations, self.md_evaluations
        )
        return replace(task, options=task.options.bounded(limits))
