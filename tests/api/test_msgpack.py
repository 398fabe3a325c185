"""MessagePack in and out: the fields of JSON, with arrays as their bytes."""

from typing import Any

import httpx
import numpy as np
import ormsgpack
import pytest

from tests.api.server import ARGON, CRYSTAL, Running

MSGPACK = "application/x-msgpack"


def binary(values: Any, dtype: str = "<f8") -> dict[str, Any]:
    array = np.array(values, dtype)
    return {"dtype": dtype, "shape": list(array.shape), "data": array.tobytes()}


def arrays(value: Any) -> Any:
    """The document with its binary arrays as lists."""
    if isinstance(value, dict) and set(value) == {"dtype", "shape", "data"}:
        return np.frombuffer(value["data"], value["dtype"]).reshape(value["shape"]).tolist()
    if isinstance(value, dict):
        return {key: arrays(item) for key, item in value.items()}
    return [arrays(item) for item in value] if isinstance(value, list) else value


def post(service: Running, document: Any, **headers: str) -> httpx.Response:
    content = ormsgpack.packb(document)
    return service.client.post(
        "/predict", content=content, headers={"content-type": MSGPACK, **headers}
    )


def test_the_answer_is_that_of_json_to_the_last_bit(service: Running) -> None:
    sent = {"structures": [ARGON, CRYSTAL], "relax": {"fmax": 0.01}}
    packed = [
        {
            **{key: value for key, value in structure.items() if key not in ("symbols", "numbers")},
            "numbers": binary([18] * len(structure["positions"]), "|u1"),
            "positions": binary(structure["positions"]),
            **({"cell": binary(structure["cell"])} if "cell" in structure else {}),
        }
        for structure in (ARGON, CRYSTAL)
    ]
    answer = post(service, {**sent, "structures": packed})
    assert answer.headers["content-type"] == MSGPACK
    document = ormsgpack.unpackb(answer.content)
    assert document["results"][0]["forces"]["dtype"] == "<f8"
    assert arrays(document) == service.predict(sent).json()


def test_lists_are_taken_too_and_json_is_given_where_it_is_preferred(service: Running) -> None:
    answer = post(service, ARGON, accept="application/json")
    assert answer.json() == service.predict(ARGON).json()


@pytest.mark.parametrize(
    ("positions", "told"),
    [
        (
            {**binary(ARGON["positions"]), "dtype": "<c16"},
            "positions: dtype: '<c16'; choose one of <f8",
        ),
        (
            {**binary(ARGON["positions"]), "shape": [3, 3]},
            "positions: data: 48 bytes; dtype and shape make 72",
        ),
        (
            {**binary(ARGON["positions"]), "shape": [-1, 3]},
            "positions: shape: a list of whole numbers",
        ),
        ({"data": b""}, "positions: a binary array has the fields dtype, shape and data"),
        (binary([[0.0, 0.0], [1.0, 1.0]]), "positions: shape (2, 2); expected (2, 3)"),
        (binary([[0.0, 0.0, 0.0], [1.0, 1.0, np.nan]]), "atom 1 (Ar): z = nan"),
    ],
)
def test_a_bad_array_costs_only_its_structure(service: Running, positions: Any, told: str) -> None:
    answer = post(service, {"structures": [{**ARGON, "positions": positions}, ARGON]})
    bad, good = ormsgpack.unpackb(answer.content)["results"]
    assert told in bad["error"]["message"]
    assert good["status"] == "ok"


def test_what_is_no_messagepack_is_refused(service: Running) -> None:
    answer = service.client.post("/predict", content=b"\xc1", headers={"content-type": MSGPACK})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_format")


def test_json_has_no_bytes(service: Running) -> None:
    positions = {"dtype": "<f8", "shape": [2, 3], "data": "AAAA"}
    (result,) = service.predict({"structures": [{**ARGON, "positions": positions}]}).json()[
        "results"
    ]
    assert "bytes are expected, which only MessagePack has" in result["error"]["message"]
