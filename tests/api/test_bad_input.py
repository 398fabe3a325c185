"""What is sent wrong gets its status, and a message that names the thing and the remedy."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.server import ARGON, CRYSTAL, WATER, Running

STRUCTURES: list[tuple[dict[str, Any], str, list[str]]] = [
    (
        {"symbols": ["Ar", "Xe"], "positions": [[0, 0, 0], [0, 0, 4]]},
        "unsupported_element",
        ["atom 1", "Xe", "Ar, Ne"],
    ),
    ({"symbols": ["Qq"], "positions": [[0, 0, 0]]}, "invalid_structure", ["atom 0", "Qq"]),
    ({"numbers": [119], "positions": [[0, 0, 0]]}, "invalid_structure", ["atom 0", "119", "118"]),
    ({"numbers": [2**64 - 1], "positions": [[0, 0, 0]]}, "invalid_structure", ["118"]),
    ({"numbers": [6.5], "positions": [[0, 0, 0]]}, "invalid_request", ["numbers.0", "integer"]),
    (
        {"symbols": ["Ar"], "positions": [[0, 0, 0], [0, 0, 4]]},
        "invalid_structure",
        ["positions", "(2, 3)", "(1, 3)"],
    ),
    ({"symbols": ["Ar"], "positions": [[0, 0]]}, "invalid_request", ["positions.0", "3 items"]),
    ({"symbols": ["Ar"], "positions": [[0, 0, "x"]]}, "invalid_request", ["positions.0.2", "'x'"]),
    (
        {"symbols": ["Ar"], "positions": [[0, 0, None]]},
        "invalid_request",
        ["positions.0.2", "None"],
    ),
    (
        {"symbols": ["Ar"], "positions": [[0, 0, 1e300]]},
        "invalid_structure",
        ["atom 0 (Ar)", "z = 1e+300", "1e+06 Å"],
    ),
    (
        {"symbols": ["Ar", "Ar"], "positions": [[1, 1, 1], [1, 1, 1]]},
        "invalid_structure",
        ["0", "1", "Å"],
    ),
    ({"symbols": [], "positions": []}, "invalid_structure", ["no atoms", "at least one"]),
    (
        {**CRYSTAL, "cell": [[1, 0, 0], [0, 1, 0], [1, 1, 0]]},
        "invalid_structure",
        ["cell", "volume is zero"],
    ),
    ({**CRYSTAL, "cell": None, "pbc": True}, "invalid_structure", ["cell", "give a cell"]),
    ({**CRYSTAL, "cell": [[1, 0, 0], [0, 1, 0]]}, "invalid_request", ["cell", "3 items"]),
    ({**CRYSTAL, "pbc": [True, False]}, "invalid_request", ["pbc: expected true, false or three"]),
    ({**CRYSTAL, "pbc": [1, 1, 0]}, "invalid_request", ["pbc: expected", "[1, 1, 0]"]),
    ({"smile": "CCO"}, "invalid_request", ["smile: unknown field", "positions"]),
    ({"smiles": "CCO", "conformer": 2}, "invalid_request", ["conformer: unknown field", "seed"]),
    ({"content": 1}, "invalid_request", ["content", "string"]),
    ({"content": "x", "format": "doc"}, "invalid_request", ["'doc' is unknown", "xyz"]),
    ({"content": "x"}, "invalid_format", ["no format that is known"]),
    ({**ARGON, "charge": 1}, "unsupported_charge", ["charge 1", "charge 0"]),
    ({**ARGON, "charge": 0.5}, "invalid_request", ["charge"]),
    ({**ARGON, "multiplicity": 3}, "unsupported_charge", ["multiplicity 3"]),
    ({**ARGON, "symbols": ["Ar", "Ar"]}, "invalid_request", ["symbols", "numbers"]),
    ({"positions": [[0, 0, 0]]}, "invalid_request", ["symbols", "numbers"]),
    ({"symbols": ["Ar"]}, "invalid_request", ["positions", "required"]),
    ({**ARGON, "postions": []}, "invalid_request", ["postions", "unknown field", "positions"]),
]


@pytest.mark.parametrize(("structure", "code", "told"), STRUCTURES)
def test_structure(service: Running, structure: dict[str, Any], code: str, told: list[str]) -> None:
    response = service.predict({"structures": [structure]})
    assert response.status_code == 422
    (result,) = response.json()["results"]
    assert result["status"] == "error"
    assert result["error"]["code"] == code
    assert [part for part in told if part not in result["error"]["message"]] == []
    assert response.json()["error"]["code"] == code


def test_not_an_object(service: Running) -> None:
    response = service.predict({"structures": [7, ARGON]})
    assert [r["status"] for r in response.json()["results"]] == ["error", "ok"]


def test_all_bad_for_different_reasons(service: Running) -> None:
    large = {"numbers": [18] * 501, "positions": [[4.0 * i, 0, 0] for i in range(501)]}
    response = service.predict(
        {"structures": [large, {"symbols": ["Xe"], "positions": [[0, 0, 0]]}]}
    )
    assert response.status_code == 422
    assert "none of the 2 structures" in response.json()["error"]["message"]


BODIES: list[tuple[Any, list[str]]] = [
    ([], ["JSON object"]),
    ({}, ["structures: missing", "the fields of one structure"]),
    ({"structures": []}, ["structures", "at least 1"]),
    ({"structures": "water"}, ["structures", "list"]),
    ({"structures": [ARGON], "modle": "x"}, ["modle", "unknown field", "model"]),
    ({"structures": [ARGON], "properties": []}, ["properties", "at least 1 item"]),
    ({"structures": [ARGON], "properties": ["dipole"]}, ["properties.0", "'energy'", "'dipole'"]),
    ({"structures": [ARGON], "model": 7}, ["model", "string"]),
    ({"structures": [ARGON], "relax": 7}, ["relax", "fmax, steps, optimizer"]),
    ({"structures": [ARGON], "relax": [1]}, ["relax", "fmax, steps, optimizer"]),
    (
        {"structures": [ARGON], "relax": {"fmaks": 1}},
        ["relax.fmaks", "unknown field", "fmax, steps, optimizer"],
    ),
    (
        {"structures": [ARGON], "relax": {"cell": True, "pressure": 10}},
        ["relax.pressure", "1.6e+03 GPa", "1 GPa is 0.00624"],
    ),
    ({"structures": [ARGON], "model": [[[[1]]]]}, ["model", "string"]),
    ({"structures": [ARGON], "relax": {"fmax": 0}}, ["relax.fmax", "greater than 0"]),
    ({"structures": [ARGON], "relax": {"cell": "half"}}, ["relax.cell", "'isotropic'"]),
    ({"structures": [{**ARGON, "fixed": [2]}]}, ["fixed: there is no atom 2", "atoms 0 to 1"]),
    ({"structures": [ARGON], "relax": {"pressure": 1.0}}, ["relax.pressure: the cell is fixed"]),
    ({"structures": [ARGON], "relax": {"fmaks": 1}}, ["relax.fmaks", "unknown field"]),
    ({"structures": [ARGON], "relax": {"steps": 100_000}}, ["relax.steps", "100000", "1000"]),
    ({"structures": [ARGON], "relax": {"optimizer": "newton"}}, ["relax.optimizer", "'fire'"]),
]


@pytest.mark.parametrize(("body", "told"), BODIES)
def test_body(service: Running, body: Any, told: list[str]) -> None:
    response = service.predict(body)
    assert response.status_code == 422
    assert [part for part in told if part not in response.json()["error"]["message"]] == []


RAW: list[tuple[bytes, list[str]]] = [
    (b"", ["JSON"]),
    (b"{", ["JSON"]),
    (b'{"symbols": ["Ar"], "positions": [[0, 0, NaN]]}', ["JSON", "NaN"]),
    (b'{"symbols": ["Ar"], "positions": [[0, 0, Infinity]]}', ["JSON", "Infinity"]),
    (b'{"a":' * 1100 + b"1" + b"}" * 1100, ["JSON"]),
    (b"[" * 2000, ["JSON"]),
    (b'{"structures": ' + b"[" * 900 + b"]" * 900 + b"}", ["structure"]),
    (b"\xff\xfe", ["JSON"]),
]


@pytest.mark.parametrize(("body", "told"), RAW)
def test_malformed_json(service: Running, body: bytes, told: list[str]) -> None:
    response = service.client.post(
        "/predict", content=body, headers={"content-type": "application/json"}
    )
    assert response.status_code == 422
    assert [part for part in told if part not in response.json()["error"]["message"]] == []


@pytest.mark.parametrize("model", ["nobody", "pairs@9", "pairs@x", "../pairs", "pairs@", ""])
def test_unknown_model(service: Running, model: str) -> None:
    response = service.predict({**ARGON, "model": model})
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "unknown_model"
    assert "pairs@1" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data", "nonsense"]
)
def test_content_type(service: Running, kind: str) -> None:
    response = service.client.post("/predict", content=b"{}", headers={"content-type": kind})
    assert response.status_code == 415
    assert "application/json" in response.json()["error"]["message"]


class TestLimits:
    def test_structures(self, service: Running) -> None:
        response = service.predict({"structures": [ARGON] * 21})
        assert response.status_code == 413
        assert "20" in response.json()["error"]["message"]

    def test_atoms_of_a_structure(self, service: Running) -> None:
        structure = {"numbers": [18] * 501, "positions": [[4.0 * i, 0, 0] for i in range(501)]}
        response = service.predict(structure)
        assert response.status_code == 413
        assert "501" in response.json()["error"]["message"]
        assert "500" in response.json()["error"]["message"]

    def test_atoms_of_a_request(self, service: Running) -> None:
        structure = {"numbers": [18] * 400, "positions": [[4.0 * i, 0, 0] for i in range(400)]}
        response = service.predict({"structures": [structure] * 3})
        assert response.status_code == 413
        assert "1200" in response.json()["error"]["message"]

    def test_announced_body(self, service: Running) -> None:
        response = service.client.post(
            "/predict", content=b" " * 50_000_000, headers={"content-type": "application/json"}
        )
        assert response.status_code == 413
        assert "200000 bytes" in response.json()["error"]["message"]

    def test_chunked_body(self, service: Running) -> None:
        def parts() -> Iterator[bytes]:
            for _ in range(50):
                yield b" " * 10_000

        response = service.client.post(
            "/predict", content=parts(), headers={"content-type": "application/json"}
        )
        assert response.status_code == 413

    def test_fewer_bytes_than_announced(self, service: Running) -> None:
        left = 'equipot_requests_total{method="POST",route="/predict",status="499"}'
        before = service.metric(left)
        with socket.create_connection(("127.0.0.1", service.port)) as lying:
            lying.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{}")
        service.wait_for(left, before + 1)

    def test_more_bytes_than_announced(self, service: Running) -> None:
        with socket.create_connection(("127.0.0.1", service.port)) as lying:
            lying.sendall(
                b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}" + b" " * 1000
            )
            assert lying.recv(100).startswith(b"HTTP/1.1 4")

    def test_service_goes_on(self, service: Running) -> None:
        assert service.predict(WATER).status_code == 200
