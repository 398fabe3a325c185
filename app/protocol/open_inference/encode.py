"""From results to an answer of tensors."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from app.atoms.prediction import StructurePrediction
from app.atoms.properties import ANSWERED, Property, answered
from app.atoms.structure import Floats
from app.errors import EquipotError
from app.protocol.open_inference.decode import Inference
from app.protocol.open_inference.tensors import tensor_of
from app.protocol.response import Answered, PredictResponse


class Encoded(NamedTuple):
    """The body of an answer.

    Attributes:
        body: JSON, and the bytes of tensors after it.
        header: bytes of the JSON; None where it is all.
    """

    body: bytes
    header: int | None


def encode(asked: Inference, response: PredictResponse) -> Encoded:
    """The body of an answer.

    Raises:
        EquipotError: a structure has none, of which the protocol cannot tell beside the others'
            answers; names it.
    """
    results, model = _all_answered(response), response.model
    assert model is not None, "the path names it"
    predictions = [result.prediction for result in results]
    pairs = [
        tensor_of(name, array, asked.binary if asked.outputs is None else asked.outputs[name])
        for name, array in _arrays(asked, predictions).items()
    ]
    content = b"".join(data for _, data in pairs)
    parameters: dict[str, Any] = {"digest": model.digest}
    if warnings := _warnings(results):
        parameters["warnings"] = orjson.dumps(warnings).decode()
    document: dict[str, Any] = {
        "model_name": model.name,
        "model_version": str(model.version),
        **({} if asked.id is None else {"id": asked.id}),
        "parameters": parameters,
        "outputs": [tensor for tensor, _ in pairs],
    }
    text = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return Encoded(text + content, len(text)) if content else Encoded(text, None)


def _all_answered(response: PredictResponse) -> list[Answered]:
    """The results, where each structure has one.

    Raises:
        EquipotError: of the first one that has none.
    """
    results: list[Answered] = []
    for number, result in enumerate(response.results):
        if isinstance(result, EquipotError):
            raise type(result)(f"structure {number}: {result}")
        results.append(result)
    return results


def _arrays(asked: Inference, predictions: Sequence[StructurePrediction]) -> dict[str, Floats]:
    """What is answered, by name, in the order in which it was asked for."""
    if asked.outputs is not None:
        rows = {row.name: row for row in ANSWERED}
        return {name: _joined(rows[name], predictions) for name in asked.outputs}
    return {
        row.name: _joined(row, predictions)
        for row in answered(asked.request.properties)
        if all(getattr(prediction, row.name) is not None for prediction in predictions)
    }


def _joined(row: Property, predictions: Sequence[StructurePrediction]) -> Floats:
    """(B, …) or (N, …): a property of all structures."""
    values = [np.asarray(getattr(prediction, row.name), np.float64) for prediction in predictions]
    return np.concatenate(values) if row.per == "atom" else np.stack(values)


def _warnings(results: Sequence[Answered]) -> list[dict[str, object]]:
    return [
        {"structure": number, **warning.as_json()}
        for number, result in enumerate(results)
        for warning in result.warnings
    ]
