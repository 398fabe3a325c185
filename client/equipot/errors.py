"""What can go wrong, as one tree.

EquipotError
├── ServiceError                  what the service answers in the place of a result; by its code:
│   ├── InputError                what was sent cannot be answered
│   │   ├── InvalidStructure      a structure that is no structure: shapes, NaN, overlap, cell
│   │   │   └── AtomsTooClose     atoms so close that no model says anything of them
│   │   ├── InvalidFormat         a file or body that cannot be parsed
│   │   ├── InvalidRequest        an unknown or ill-typed field, property or option
│   │   ├── UnsupportedElement    an element that the model has never seen
│   │   ├── UnsupportedCharge     a charge or spin that the model cannot take into account
│   │   ├── StructureTooLarge     over a stated limit of atoms, structures or bytes
│   │   ├── DoubtfulAnswer        an answer with a warning, where the request wants none
│   │   ├── OutOfDomain           beyond what the training data held, where that is to be refused
│   │   └── NotConverged          a relaxation that did not end in the minimum that a task needs
│   ├── Unauthorized, Forbidden   no key that the service knows; one that may not do this
│   ├── UnknownModel, CorruptModel, UnknownJob, JobConflict, UnknownTask
│   ├── Cancelled                 the job ended before there was a result
│   ├── Overloaded, Unavailable   after all attempts that were to be made
│   │   └── RateLimited           the same: the key asks too often, or for too much at a time
│   └── BackendError, OutOfMemory the model failed; too little memory for a structure
└── ConnectionFailed              no answer came
    └── TimedOut                  not in time
"""

import re

FIELD = re.compile(r"(?:structure \d+: )?([A-Za-z_][\w.\[\]]*): ")
"""How a message begins that names the field which is wrong."""


class EquipotError(Exception):
    """Root of all errors that the client raises on purpose."""


class ServiceError(EquipotError):
    """What a service, or a model in this process, answers in the place of a result.

    Attributes:
        code: a word for programs, as the service has documented it.
        message: for people; names atom or field, value, limit and remedy.
        status: of HTTP; None of one structure among others.
        request_id: by which the service's log knows the request; None where it said none.
    """

    def __init__(
        self, code: str, message: str, status: int | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.message = code, message
        self.status, self.request_id = status, request_id

    @property
    def field(self) -> str | None:
        """The field that the message names; None where it names none."""
        named = FIELD.match(self.message)
        return named[1] if named else None

    def __reduce__(self) -> tuple[type, tuple[str, str, int | None, str | None]]:
        return type(self), (self.code, self.message, self.status, self.request_id)


class InputError(ServiceError):
    """What was sent cannot be answered; the message says what to change."""


class InvalidStructure(InputError):
    """A structure with wrong shapes, values that are not finite, overlapping atoms or a bad cell."""


class AtomsTooClose(InvalidStructure):
    """Two atoms on one spot or almost, told apart by models in this process; a service says
    `InvalidStructure`.
    """


class InvalidFormat(InputError):
    """A file or a body that cannot be parsed."""


class InvalidRequest(InputError):
    """An unknown or ill-typed field, property or option."""


class UnsupportedElement(InputError):
    """An element that the model was not trained on."""


class UnsupportedCharge(InputError):
    """A charge or spin multiplicity that the model cannot take into account."""


class StructureTooLarge(InputError):
    """More atoms, structures or bytes than a stated limit."""


class DoubtfulAnswer(InputError):
    """There is an answer, with a warning, and warnings are to be errors."""


class OutOfDomain(InputError):
    """Something that the model's training data never held, and that is to be refused."""


class NotConverged(InputError):
    """A relaxation that did not end in a minimum, without which a task has no answer."""


class Unauthorized(ServiceError):
    """No key, or none that the service knows."""


class Forbidden(ServiceError):
    """A key that may not do this, or a page of another origin."""


class UnknownModel(ServiceError):
    """No model of this name, or no such version of it."""


class CorruptModel(ServiceError):
    """A model that is refused, since a file of it is missing or not what its card says."""


class UnknownJob(ServiceError):
    """No job of this id, or one that was removed."""


class UnknownTask(ServiceError):
    """No task of this name."""


class JobConflict(ServiceError):
    """A key that another request was submitted with."""


class Cancelled(ServiceError):
    """The job was cancelled before there was a result."""


class Overloaded(ServiceError):
    """The service's queue was full at every attempt."""


class RateLimited(Overloaded):
    """The key asked too often, or for too much at a time, at every attempt."""


class Unavailable(ServiceError):
    """The service was starting or shutting down at every attempt."""


class BackendError(ServiceError):
    """The model failed, or answered with a number that is not finite."""


class OutOfMemory(ServiceError):
    """One structure, or the smallest piece of it, needs more memory than there is."""


class ConnectionFailed(EquipotError):
    """The service cannot be reached, or ended the connection before its answer did."""


class TimedOut(ConnectionFailed):
    """Nothing came from the service for longer than the client's timeout."""


TYPES: dict[str, type[ServiceError]] = {
    "invalid_structure": InvalidStructure,
    "invalid_format": InvalidFormat,
    "invalid_request": InvalidRequest,
    "unsupported_element": UnsupportedElement,
    "unsupported_charge": UnsupportedCharge,
    "too_large": StructureTooLarge,
    "doubtful_answer": DoubtfulAnswer,
    "out_of_domain": OutOfDomain,
    "not_converged": NotConverged,
    "unauthorized": Unauthorized,
    "forbidden": Forbidden,
    "unknown_model": UnknownModel,
    "corrupt_model": CorruptModel,
    "unknown_job": UnknownJob,
    "unknown_task": UnknownTask,
    "job_conflict": JobConflict,
    "cancelled": Cancelled,
    "overloaded": Overloaded,
    "rate_limited": RateLimited,
    "unavailable": Unavailable,
    "too_many_connections": Unavailable,
    "model_failed": BackendError,
    "out_of_memory": OutOfMemory,
}
"""By code; others are a `ServiceError`."""


def error_of(
    code: str, message: str, status: int | None = None, request_id: str | None = None
) -> ServiceError:
    """The error of a code."""
    return TYPES.get(code, ServiceError)(code, message, status, request_id)
