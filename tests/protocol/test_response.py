"""When a whole request has failed, and with what."""

import numpy as np

from app.atoms.prediction import StructurePrediction
from app.errors import EquipotError, InvalidStructure, OutOfMemory, UnsupportedElement
from app.protocol.model_ref import ModelRef
from app.protocol.request import PredictRequest
from app.protocol.response import Answered, PredictResponse, Result

GOOD = Answered(StructurePrediction(-1.0, np.array([-1.0])))


def response(*results: Result) -> PredictResponse:
    return PredictResponse(ModelRef("m", 1, "d"), PredictRequest([]), list(results))


def test_one_answer_is_enough() -> None:
    assert response(InvalidStructure("bad"), GOOD).fault is None


def test_the_only_error_is_that_of_the_request() -> None:
    fault = response(OutOfMemory("none left")).fault
    assert fault is not None
    assert (fault.status, fault.code, fault.message) == (503, "out_of_memory", "none left")


def test_several_are_summed_up() -> None:
    errors: list[EquipotError] = [InvalidStructure("bad"), UnsupportedElement("Si")]
    alike = response(*errors).fault
    assert alike is not None
    assert (alike.status, alike.code) == (422, "invalid_structure")
    assert "none of the 2 structures" in alike.message
    different = response(*errors, OutOfMemory("none left")).fault
    assert different is not None
    assert (different.status, different.code) == (422, "invalid_request")
