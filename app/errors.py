"""What can go wrong, as one tree. No HTTP in it: `app.protocol.faults` maps each class to a status.

EquipotError
├── InputError                what the caller sent cannot be answered
│   ├── InvalidStructure      a structure that is no structure: shapes, NaN, overlap, cell
│   │   └── AtomsTooClose     atoms so close that no model says anything of them
│   ├── InvalidFormat         a file or body that cannot be parsed
│   ├── InvalidRequest        an unknown or ill-typed field, property or option
│   ├── UnsupportedElement    an element that the model has never seen
│   ├── UnsupportedCharge     a charge or spin that the model cannot take into account
│   ├── StructureTooLarge     over a stated limit of atoms, structures or bytes
│   ├── DoubtfulAnswer        an answer with a warning, where the request wants none
│   ├── OutOfDomain           beyond what the training data held, where the request wants that refused
│   └── NotConverged          a relaxation that did not end in the minimum that a task needs
├── StoreError
│   ├── UnknownModel          no such model or version
│   ├── CorruptModel          a file is missing, or its digest differs from the card
│   ├── ModelExists           versions are immutable
│   ├── ModelInUse            what is needed cannot be taken away, or is on its way
│   ├── UnreachableStore      a store or a file at a URL that cannot be asked, read or written
│   └── CertificateRefused    an artifact that differs from its model by more than the tolerance
├── Unauthorized              no key, or none that is known, where keys are wanted
├── Forbidden                 a key that may not do what it asks
├── Overloaded                the queue is full; try again after `retry_after` seconds
│   └── RateLimited           a key asks more often, or for more at a time, than it may
├── Unavailable               the service is starting or shutting down
├── BackendError              the model failed or gave a number that is not finite
├── OutOfMemory               one structure needs more memory than there is
├── UnknownJob                no such job
├── UnknownTask               no such task
├── Cancelled                 the job ended before there was a result
├── JobConflict               the key of another request
└── TrainingError
    ├── InvalidConfig         a key or a value of a training config
    └── InvalidData           a labelled frame that cannot be trained on; names file and frame
"""


class EquipotError(Exception):
    """Root of all errors that Equipot raises on purpose."""


class InputError(EquipotError):
    """What the caller sent cannot be answered; the message says what to change."""


class InvalidStructure(InputError):
    """A structure with wrong shapes, values that are not finite, overlapping atoms or a bad cell."""


class AtomsTooClose(InvalidStructure):
    """Two atoms, or an atom and an image, on one spot or almost; what a trial step of a minimiser may
    come to, whoever takes it can make it shorter.
    """


class InvalidFormat(InputError):
    """A file or a request body that cannot be parsed."""


class InvalidRequest(InputError):
    """An unknown or ill-typed field, property or option."""


class UnsupportedElement(InputError):
    """An element that the model was not trained on."""


class UnsupportedCharge(InputError):
    """A charge or spin multiplicity that the model cannot take into account."""


class StructureTooLarge(InputError):
    """More atoms, structures or bytes than a stated limit."""


class DoubtfulAnswer(InputError):
    """There is an answer, with a warning, and the request wants warnings to be errors."""


class OutOfDomain(InputError):
    """Something that the model's training data never held, and the request wants that refused."""


class NotConverged(InputError):
    """A relaxation that did not end in a minimum, without which a task has no answer."""


class StoreError(EquipotError):
    """Something is wrong with a model of the store."""


class UnknownModel(StoreError):
    """No model of this name, or no such version of it."""


class CorruptModel(StoreError):
    """A file of the model is missing, or its digest is not the one on the card."""


class ModelExists(StoreError):
    """This version is published already; versions are immutable."""


class ModelInUse(StoreError):
    """A model that others need, or that is being loaded or unloaded, so that it cannot be changed."""


class UnreachableStore(StoreError):
    """A store, or another folder or file, at a URL cannot be asked, read or written."""


class CertificateRefused(StoreError):
    """An exported artifact deviates from its model by more than the tolerance."""


class Overloaded(EquipotError):
    """The queue is full.

    Attributes:
        retry_after: seconds after which a new attempt is worthwhile.
    """

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(Overloaded):
    """A key asks more often, or for more at a time, than it may."""


class Unauthorized(EquipotError):
    """No key, or none that is known, where keys are wanted."""


class Forbidden(EquipotError):
    """A key that may not do what it asks."""


class Unavailable(EquipotError):
    """The service, or the model asked for, is not ready yet or shutting down."""


class BackendError(EquipotError):
    """The model failed, or answered with a number that is not finite."""


class OutOfMemory(EquipotError):
    """One structure, or the smallest piece of it, needs more memory than there is."""


class UnknownJob(EquipotError):
    """No job of this id, or one that was removed."""


class UnknownTask(EquipotError):
    """No task of this name."""


class Cancelled(EquipotError):
    """A job was cancelled before there was a result."""


class JobConflict(EquipotError):
    """An idempotency key that another request was sent with."""


class TrainingError(EquipotError):
    """A training run cannot start or go on."""


class InvalidConfig(TrainingError):
    """An unknown key or a value out of range in a training config."""


class InvalidData(TrainingError):
    """A labelled frame that cannot be trained on; the message names file and frame."""
