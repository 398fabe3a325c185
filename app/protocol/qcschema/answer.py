"""From a result to the QCSchema document that carries it."""

from typing import Any

from ase.units import Bohr, Ha

from app import __version__
from app.errors import EquipotError, InputError, OutOfMemory, StoreError
from app.protocol.faults import fault
from app.protocol.model_ref import ModelRef
from app.protocol.qcschema.ask import Asked
from app.protocol.response import Answered

RETURNS = {1: "qcschema_output", 2: "qcschema_atomic_result"}


def result(asked: Asked, answered: Answered, model: ModelRef) -> dict[str, Any]:
    """The AtomicResult.

    Args:
        asked: what was sent.
        answered: of its molecule.
        model: which answered.
    """
    document, prediction = asked.document, answered.prediction
    energy = prediction.energy / Ha
    gradient = None
    if prediction.forces is not None:
        gradient = (-prediction.forces * (Bohr / Ha)).ravel()
    properties: dict[str, Any] = {
        "calcinfo_natom": len(document["molecule"]["symbols"]),
        "return_energy": energy,
    }
    if gradient is not None:
        properties["return_gradient"] = gradient
    common = {
        "schema_name": RETURNS[asked.version],
        "schema_version": asked.version,
        "success": True,
        "properties": properties,
        "return_result": energy if gradient is None else gradient,
        "provenance": {"creator": "Equipot", "version": __version__, "routine": model.reference},
    }
    told = {"equipot": _beside(answered, model)}
    if asked.version == 1:
        return {**document, **common, "extras": {**(document.get("extras") or {}), **told}}
    named = {"id": document["id"]} if document.get("id") is not None else {}
    molecule = document["molecule"]
    return {**named, **common, "input_data": document, "molecule": molecule, "extras": told}


def failed_operation(asked: Asked, error: EquipotError) -> dict[str, Any]:
    """The FailedOperation, with the service's own code in its error's extras."""
    told = fault(error)
    document = asked.document
    failed: dict[str, Any] = {
        "success": False,
        "input_data": document,
        "error": {
            "error_type": _type(error),
            "error_message": told.message,
            "extras": {"code": told.code},
        },
    }
    if isinstance(document.get("id"), str):
        failed["id"] = document["id"]
    if asked.version == 2:
        failed |= {"schema_name": "qcschema_failed_operation", "schema_version": 2}
    return failed


def _type(error: EquipotError) -> str:
    """In QCEngine's words."""
    if isinstance(error, InputError | StoreError):
        return "input_error"
    return "resource_error" if isinstance(error, OutOfMemory) else "unknown_error"


def _beside(answered: Answered, model: ModelRef) -> dict[str, Any]:
    """What the schema has no fields for."""
    prediction = answered.prediction
    beside: dict[str, Any] = {
        "model": model.reference,
        "digest": model.digest,
        "warnings": [warning.as_json() for warning in answered.warnings],
    }
    if prediction.energy_std is not None:
        beside["energy_std_hartree"] = prediction.energy_std / Ha
    if prediction.forces is not None and prediction.forces_std is not None:
        beside["forces_std_hartree_per_bohr"] = prediction.forces_std * (Bohr / Ha)
    return beside
