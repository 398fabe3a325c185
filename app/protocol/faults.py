"""Faults: errors as a caller sees them, and the one table from error class to status and code."""

from dataclasses import dataclass

from app import errors

TABLE: dict[type[errors.EquipotError], tuple[int, str]] = {
    errors.InvalidStructure: (422, "invalid_structure"),
    errors.InvalidFormat: (422, "invalid_format"),
    errors.InvalidRequest: (422, "invalid_request"),
    errors.UnsupportedElement: (422, "unsupported_element"),
    errors.UnsupportedCharge: (422, "unsupported_charge"),
    errors.StructureTooLarge: (413, "too_large"),
    errors.DoubtfulAnswer: (422, "doubtful_answer"),
    errors.OutOfDomain: (422, "out_of_domain"),
    errors.NotConverged: (422, "not_converged"),
    errors.UnknownModel: (404, "unknown_model"),
    errors.CorruptModel: (503, "corrupt_model"),
    errors.ModelExists: (409, "model_exists"),
    errors.ModelInUse: (409, "model_in_use"),
    errors.UnreachableStore: (503, "unreachable_store"),
    errors.CertificateRefused: (409, "certificate_refused"),
    errors.Unauthorized: (401, "unauthorized"),
    errors.Forbidden: (403, "forbidden"),
    errors.Overloaded: (429, "overloaded"),
    errors.RateLimited: (429, "rate_limited"),
    errors.Unavailable: (503, "unavailable"),
    errors.BackendError: (500, "model_failed"),
    errors.OutOfMemory: (503, "out_of_memory"),
    errors.UnknownJob: (404, "unknown_job"),
    errors.UnknownTask: (404, "unknown_task"),
    errors.Cancelled: (409, "cancelled"),
    errors.JobConflict: (409, "job_conflict"),
    errors.InvalidConfig: (500, "invalid_config"),
    errors.InvalidData: (500, "invalid_data"),
}
"""Statuses are those of HTTP, whatever carries the answer."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as the caller sees it."""

    status: int
    code: str
    message: str

    def as_json(self) -> dict[str, str]:
        """`{"code", "message"}`."""
        return {"code": self.code, "message": self.message}


def fault(error: errors.EquipotError) -> Fault:
    """Status, code and message of an error; by its bases where it is not in the table."""
    for kind in type(error).__mro__:
        if kind in TABLE:
            status, code = TABLE[kind]
            return Fault(status, code, str(error))
    return Fault(500, "internal", str(error))
