"""The client of Equipot: a service of interatomic potentials, in Python and as a calculator of ASE."""

from typing import TYPE_CHECKING, Any

from equipot.async_client import AsyncClient
from equipot.client import Client
from equipot.errors import (
    AtomsTooClose,
    BackendError,
    Cancelled,
    ConnectionFailed,
    CorruptModel,
    DoubtfulAnswer,
    EquipotError,
    Forbidden,
    InputError,
    InvalidFormat,
    InvalidRequest,
    InvalidStructure,
    JobConflict,
    NotConverged,
    OutOfDomain,
    OutOfMemory,
    Overloaded,
    RateLimited,
    ServiceError,
    StructureTooLarge,
    TimedOut,
    Unauthorized,
    Unavailable,
    UnknownJob,
    UnknownModel,
    UnknownTask,
    UnsupportedCharge,
    UnsupportedElement,
)
from equipot.job import Job
from equipot.request import Retry
from equipot.results import AnswerWarning, Model, Relaxation, Result, Results
from equipot.stages import Stage
from equipot.structures import Smiles

if TYPE_CHECKING:
    from equipot.calculator import EquipotCalculator, OutOfDomainWarning

__version__ = "0.1.0"
__all__ = [
    "AnswerWarning",
    "AsyncClient",
    "AtomsTooClose",
    "BackendError",
    "Cancelled",
    "Client",
    "ConnectionFailed",
    "CorruptModel",
    "DoubtfulAnswer",
    "EquipotCalculator",
    "EquipotError",
    "Forbidden",
    "InputError",
    "InvalidFormat",
    "InvalidRequest",
    "InvalidStructure",
    "Job",
    "JobConflict",
    "Model",
    "NotConverged",
    "OutOfDomain",
    "OutOfDomainWarning",
    "OutOfMemory",
    "Overloaded",
    "RateLimited",
    "Relaxation",
    "Result",
    "Results",
    "Retry",
    "ServiceError",
    "Smiles",
    "Stage",
    "StructureTooLarge",
    "TimedOut",
    "Unauthorized",
    "Unavailable",
    "UnknownJob",
    "UnknownModel",
    "UnknownTask",
    "UnsupportedCharge",
    "UnsupportedElement",
]


def __getattr__(name: str) -> Any:
    """What needs ASE is imported when it is asked for."""
    if name in ("EquipotCalculator", "OutOfDomainWarning"):
        from equipot import calculator

        return getattr(calculator, name)
    raise AttributeError(f"module 'equipot' has no attribute '{name}'")
