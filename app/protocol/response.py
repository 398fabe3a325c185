"""What is answered: the results of a request, and the message that carries them."""

from dataclasses import dataclass
from typing import TypeAlias

from app.atoms.prediction import StructurePrediction
from app.atoms.warnings import AnswerWarning
from app.errors import EquipotError
from app.protocol.faults import Fault, fault
from app.protocol.model_ref import ModelRef
from app.protocol.request import Kind, PredictRequest
from app.relax import Relaxed
from app.tasks import TaskValue


@dataclass(frozen=True, slots=True)
class Answered:
    """What is known of one structure: as it was sent, and relaxed if asked.

    Attributes:
        prediction: for the structure as it was sent.
        relaxed: where its relaxation ended.
        warnings: what is doubtful about both.
        value: what a task found, where one was asked for.
    """

    prediction: StructurePrediction
    relaxed: Relaxed | None = None
    warnings: tuple[AnswerWarning, ...] = ()
    value: TaskValue | None = None


Result: TypeAlias = Answered | EquipotError


@dataclass(frozen=True, slots=True)
class PredictResponse:
    """The results of a request, in the order of its entries.

    Attributes:
        model: which made all of them; None where several did, and entries name theirs.
        request: that is answered.
        results: one for each of its entries.
    """

    model: ModelRef | None
    request: PredictRequest
    results: list[Result]

    @property
    def models(self) -> tuple[ModelRef, ...]:
        """All that answered, each once."""
        if self.model is not None:
            return (self.model,)
        named = (entry.model for entry in self.request.entries if entry.model is not None)
        return tuple(dict.fromkeys(named))

    @property
    def fault(self) -> Fault | None:
        """That of the whole request, where it has structures and none of them has an answer."""
        faults = []
        for result in self.results:
            if isinstance(result, Answered):
                return None
            faults.append(fault(result))
        if not faults:
            return None
        first = faults[0]
        if len(faults) == 1:
            return first
        message = f"none of the {len(faults)} structures could be answered; the first one: "
        if len({f.status for f in faults}) == 1:
            return Fault(first.status, first.code, message + first.message)
        return Fault(422, "invalid_request", message + first.message)


@dataclass(frozen=True, slots=True)
class Reply:
    """The message that answers one.

    Attributes:
        status: as of HTTP.
        kind: how the body is written.
        body: with the results.
        models: which answered; none where none did.
    """

    status: int
    kind: Kind
    body: bytes
    models: tuple[ModelRef, ...]
