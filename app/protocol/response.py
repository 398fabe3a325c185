"""What is answered: the results of a request, and the message that carries them."""

from dataclasses import dataclass
from typing import TypeAlias

from app.atoms.prediction import StructurePrediction
from app.atoms.warnings import AnswerWarning
from app.errors import EquipotError
from app.protocol.faults import Fault, fault
from app.protocol.request import Kind, PredictRequest
from app.relax import Relaxed


@dataclass(frozen=True, slots=True)
class Answered:
    """What is known of one structure: as it was sent, and relaxed if asked.

    Attributes:
        prediction: for the structure as it was sent.
        relaxed: where its relaxation ended.
        warnings: what is doubtful about both.
    """

    prediction: StructurePrediction
    relaxed: Relaxed | None = None
    warnings: tuple[AnswerWarning, ...] = ()


Result: TypeAlias = Answered | EquipotError


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Which model answered.

    Attributes:
        name: of the model.
        version: of the model.
        digest: sha256 of its card, which holds those of all its files.
    """

    name: str
    version: int
    digest: str

    @property
    def reference(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class PredictResponse:
    """The results of a request, in the order of its entries."""

    model: ModelRef
    request: PredictRequest
    results: list[Result]

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
        model: which answered.
    """

    status: int
    kind: Kind
    body: bytes
    model: ModelRef
