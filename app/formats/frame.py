"""Frame: one structure of a file, with what else the file says of it."""

from dataclasses import dataclass, field

from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.errors import InputError
from app.formats.notation import Smiles
from app.formats.topology import Topology


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a file.

    Attributes:
        structure: the structure, the notation of a molecule without one, or why the frame holds
            neither.
        id: what the file calls it.
        info: what else the file says, as text, without geometry and results.
        warnings: what of the file is read with a doubt.
        topology: bonds and the states of single atoms, where the file states them.
    """

    structure: Structure | Smiles | InputError
    id: str | None = None
    info: dict[str, str] = field(default_factory=dict)
    warnings: tuple[AnswerWarning, ...] = ()
    topology: Topology | None = None

    def __post_init__(self) -> None:
        """Let an error go without the stack that it was raised in, which is larger than the frame."""
        if isinstance(self.structure, InputError):
            self.structure.__traceback__ = self.structure.__context__ = None
