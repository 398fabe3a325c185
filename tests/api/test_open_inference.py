"""The Open Inference Protocol, asked by a client of somebody else, answered as `/predict` answers."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.api.server import ARGON, CRYSTAL, WATER, Gated, Running
from tests.api.test_warnings import METHYL

NUMBERS = {"Ar": 18, "O": 8, "C": 6, "H": 1}
NOWHERE = [[0.0] * 3] * 3
INFER = "/v2/models/pairs/infer"


def tensor(name: str, datatype: str, shape: list[int], data: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def arrays(*structures: dict[str, Any]) -> dict[str, np.ndarray]:
    """Structures of `/predict` as the arrays of one request."""
    numbers = [s.get("numbers") or [NUMBERS[symbol] for symbol in s["symbols"]] for s in structures]
    return {
        "numbers": np.concatenate([np.array(own, np.int64) for own in numbers]),
        "positions": np.concatenate([np.array(s["positions"], np.float64) for s in structures]),
        "n_atoms": np.array([len(own) for own in numbers], np.int64),
        "cell": np.array([s.get("cell", NOWHERE) for s in structures], np.float64),
        "pbc": np.array([["cell" in s] * 3 for s in structures]),
    }


def asked(binary: bool, **given: np.ndarray) -> list[triton.InferInput]:
    """The client's inputs."""
    names = {"int64": "INT64", "float64": "FP64", "float32": "FP32", "bool": "BOOL", "int8": "INT8"}
    inputs = []
    for name, array in given.items():
        one = triton.InferInput(name, list(array.shape), names[array.dtype.name])
        inputs.append(one.set_data_from_numpy(array, binary_data=binary))
    return inputs


def body(**changes: Any) -> dict[str, Any]:
    """A request of two argon atoms; None takes an input away."""
    inputs = {
        "numbers": tensor("numbers", "INT64", [2], ARGON["numbers"]),
        "positions": tensor("positions", "FP64", [2, 3], ARGON["positions"]),
    }
    wanted = {name: value for name, value in changes.items() if name in ("outputs", "parameters")}
    inputs |= {name: value for name, value in changes.items() if name not in wanted}
    return {"inputs": [value for value in inputs.values() if value], **wanted}


@pytest.fixture(scope="module")
def client(service: Running) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{service.port}") as client:
        yield client


def test_the_server_and_its_models_say_what_they_are(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    assert client.is_model_ready("pairs")
    assert client.is_model_ready("pairs", "1")
    assert not client.is_model_ready("pairs", "7")
    found = client.get_model_metadata("pairs", "1")
    assert (found["name"], found["versions"]) == ("pairs", ["1", "2"])
    shapes = {row["name"]: (row["datatype"], row["shape"]) for row in found["inputs"]}
    assert shapes["positions"] == ("FP64", [-1, 3])
    assert shapes["pbc"] == ("BOOL", [-1, 3])
    shapes = {row["name"]: row["shape"] for row in found["outputs"]}
    assert shapes == {"energy": [-1], "forces": [-1, 3], "stress": [-1, 3, 3], "energies": [-1]}
    assert client.get_model_metadata("pairs")["versions"] == ["1", "2"]


@pytest.mark.parametrize("version", ["", "1"])
@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("sent", [True, False])
def test_numbers_are_those_of_predict(
    service: Running, client: triton.InferenceServerClient, sent: bool, answered: bool, version: str
) -> None:
    structures = (ARGON, WATER)
    model = f"pairs@{version}" if version else "pairs"
    wanted = service.predict({"model": model, "structures": list(structures)}).json()
    outputs = [
        triton.InferRequestedOutput(name, binary_data=answered) for name in ("forces", "energy")
    ]
    inputs = asked(sent, **arrays(*structures))
    got = client.infer("pairs", inputs, version, outputs, request_id="mine")
    forces = np.concatenate([np.array(result["forces"]) for result in wanted["results"]])
    assert np.array_equal(got.as_numpy("forces"), forces)
    assert got.as_numpy("energy").tolist() == [result["energy"] for result in wanted["results"]]
    head = got.get_response()
    assert [row["name"] for row in head["outputs"]] == ["forces", "energy"]
    assert (head["id"], head["model_name"], head["model_version"]) == (
        "mine",
        "pairs",
        version or "2",
    )
    assert head["parameters"] == {"digest": wanted["model"]["digest"]}


def test_without_names_all_that_there_is_is_answered(
    service: Running, client: triton.InferenceServerClient
) -> None:
    strained = {**CRYSTAL, "cell": [[0, 2.7, 2.7], [2.7, 0, 2.7], [2.8, 2.7, 0]]}
    wanted = service.predict(strained).json()["results"][0]
    got = client.infer("pairs", asked(True, **arrays(strained)))
    assert {row["name"] for row in got.get_response()["outputs"]} == {"energy", "forces", "stress"}
    assert np.array_equal(got.as_numpy("stress"), [wanted["stress"]])
    mixed = client.infer("pairs", asked(True, **arrays(strained, ARGON)))
    assert {row["name"] for row in mixed.get_response()["outputs"]} == {"energy", "forces"}


def test_compressed_both_ways(service: Running, client: triton.InferenceServerClient) -> None:
    given = asked(True, **arrays(ARGON))
    got = client.infer(
        "pairs",
        given,
        request_compression_algorithm="gzip",
        response_compression_algorithm="gzip",
    )
    assert got.as_numpy("energy").tolist() == [
        service.predict(ARGON).json()["results"][0]["energy"]
    ]


def test_what_is_not_said_has_the_defaults_of_predict(service: Running) -> None:
    cell = tensor("cell", "FP64", [1, 3, 3], [CRYSTAL["cell"]])
    numbers, positions = (
        tensor("numbers", "UINT8", [1], [18]),
        tensor("positions", "FP32", [1, 3], [0, 0, 0]),
    )
    outputs = [{"name": "energies"}, {"name": "stress"}]
    given = body(numbers=numbers, positions=positions, cell=cell, outputs=outputs)
    got = service.client.post(INFER, json=given)
    assert got.status_code == 200, got.text
    wanted = service.predict({**CRYSTAL, "properties": ["energies", "stress"]}).json()["results"][0]
    assert [row["data"] for row in got.json()["outputs"]] == [
        wanted["energies"],
        np.ravel(wanted["stress"]).tolist(),
    ]
    assert "id" not in got.json()
    assert got.headers["X-Equipot-Model"].startswith("pairs@2 ")


def test_energies_alone_take_no_gradient(gated: tuple[Running, Gated]) -> None:
    server, backend = gated
    backend.entered.clear()
    assert server.client.post(INFER, json=body(outputs=[{"name": "energy"}])).status_code == 200
    assert not backend.entered.is_set()
    assert server.client.post(INFER, json=body(outputs=[{"name": "forces"}])).status_code == 200
    assert backend.entered.is_set()


def test_doubts_are_told(bundled: Running) -> None:
    with triton.InferenceServerClient(f"127.0.0.1:{bundled.port}") as client:
        inputs = asked(True, **arrays(WATER, METHYL))
        with pytest.raises(
            InferenceServerException, match="structure 1: the molecule has 9 electrons"
        ):
            client.infer("organic-xtb", inputs)
        given = {"allow_odd_electrons": True}
        got = client.infer("organic-xtb", inputs, parameters=given)
        told = json.loads(got.get_response()["parameters"]["warnings"])
        assert (1, "odd_electrons") in [(row["structure"], row["code"]) for row in told]
        wanted = bundled.predict({"structures": [WATER, METHYL], **given}).json()["results"]
        for name in ("energy", "energy_std"):
            values = [result[name] for result in wanted]
            assert got.as_numpy(name) == pytest.approx(values, abs=1e-3)
        with pytest.raises(InferenceServerException, match="structure 0: out_of_domain"):
            client.infer("organic-xtb", inputs, parameters={**given, "strict": True})


def test_charges_are_those_of_the_structures(bundled: Running) -> None:
    ions = [{**METHYL, "charge": charge} for charge in (1, -1)]
    wanted = bundled.predict({"structures": ions}).json()["results"]
    given = asked(True, **arrays(*ions), charge=np.array([1, -1]), multiplicity=np.array([1, 1]))
    with triton.InferenceServerClient(f"127.0.0.1:{bundled.port}") as client:
        got = client.infer("organic-xtb", given).as_numpy("energy")
    assert got == pytest.approx([result["energy"] for result in wanted], abs=1e-3)
    assert got[0] > got[1] + 1


CELL = [[5.0, 0.0, 0.0], [0.0, 5.0, 0.0], [0.0, 0.0, 5.0]]
BAD = [
    ({"numbers": None}, 400, "input 'numbers': is missing"),
    (
        {"colour": tensor("colour", "FP64", [1], [1.0])},
        400,
        "input 'colour': unknown; known are numb",
    ),
    ({"numbers": tensor("numbers", "FP64", [2], [18.0, 18.0])}, 400, "'FP64'; choose one of INT64"),
    ({"numbers": tensor("numbers", "INT64", [2], [18, 18.5])}, 400, "18.5 is no INT64"),
    ({"numbers": tensor("numbers", "INT64", [2], [18, None])}, 400, "None is no INT64"),
    ({"numbers": tensor("numbers", "INT8", [2], [18, 300])}, 400, "out of the range of INT8"),
    ({"numbers": tensor("numbers", "INT64", [3], [18, 18])}, 400, "2 values; the shape [3] has 3"),
    ({"numbers": tensor("numbers", "INT64", [2], [18, 14])}, 400, "structure 0: atom 1 is Si"),
    ({"positions": tensor("positions", "FP64", [6], [0] * 6)}, 400, "[N, 3] is expected"),
    (
        {"positions": tensor("positions", "FP64", [2, 3], [[0, 0], [0, 0], [0, 4]])},
        400,
        "data is nested otherwise than the shape [2, 3]",
    ),
    (
        {"positions": tensor("positions", "FP64", [1, 3], [0.0] * 3)},
        400,
        "input 'numbers': 2 atoms; 'positions' has 1",
    ),
    (
        {"n_atoms": tensor("n_atoms", "INT64", [2], [1, 2])},
        400,
        "3 atoms in all; 'positions' has 2",
    ),
    ({"n_atoms": tensor("n_atoms", "INT64", [2], [0, 2])}, 400, "each structure has 1 to 2 atoms"),
    ({"cell": tensor("cell", "FP64", [2, 3, 3], [CELL] * 2)}, 400, "input 'cell': 2 structures"),
    (
        {"pbc": tensor("pbc", "BOOL", [1, 3], [True] * 3)},
        400,
        "structure 0: cell",
    ),
    ({"pbc": tensor("pbc", "BOOL", [1, 3], [1, 1, 1])}, 400, "1 is no BOOL"),
    (
        {"outputs": [{"name": "dipole"}]},
        400,
        "output 'dipole': unknown; the model has energy, forces",
    ),
    ({"outputs": [{"name": "energy_std"}]}, 400, "output 'energy_std': unknown"),
    ({"outputs": [{"name": "energy"}] * 2}, 400, "output 'energy': is asked for twice"),
    ({"outputs": [{"name": "stress"}]}, 400, "output 'stress': structure 0 has none"),
    ({"parameters": {"priority": 3}}, 400, "parameters.priority: unknown field"),
    ({"outputs": [{"name": "energy", "parameters": {"classification": 2}}]}, 400, "classification"),
]


@pytest.mark.parametrize(("changes", "status", "message"), BAD, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_told_by_its_name(
    service: Running, changes: dict[str, Any], status: int, message: str
) -> None:
    got = service.client.post(INFER, json=body(**changes))
    assert got.status_code == status, got.text
    assert list(got.json()) == ["error"]
    assert message in got.json()["error"]


@pytest.mark.parametrize(
    ("header", "content", "message"),
    [
        ("many", b"{}", "a number of bytes is expected"),
        ("5", b"{}", "the body has 2 bytes"),
        ("2", b"{}  ", "inputs: this field is required"),
        ("9" * 6000, b"{}", "a number of bytes is expected"),
        (None, b"{", "not valid JSON"),
        (None, b'{"inputs": [{"name": "numbers", "name": "cell"}]}', "name: stands twice"),
    ],
)
def test_bodies_that_are_none(
    service: Running, header: str | None, content: bytes, message: str
) -> None:
    headers = {"Content-Type": "application/octet-stream"}
    if header is not None:
        headers["Inference-Header-Content-Length"] = header
    got = service.client.post(INFER, content=content, headers=headers)
    assert got.status_code == 400, got.text
    assert message in got.json()["error"]


def test_bytes_that_do_not_fit(service: Running) -> None:
    given = body()
    for row, size in zip(given["inputs"], (16, 48), strict=True):
        del row["data"]
        row["parameters"] = {"binary_data_size": size}
    text = json.dumps(given).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))}
    numbers = np.array(ARGON["numbers"], "<i8").tobytes()
    positions = np.array(ARGON["positions"], "<f8").tobytes()
    for content, message in (
        (numbers + positions, None),
        (numbers + positions[:-1], "input 'positions': 47 bytes; datatype and shape make 48"),
        (numbers + positions + b"x", "65 bytes come after the JSON"),
    ):
        got = service.client.post(INFER, content=text + content, headers=headers)
        assert got.status_code == (400 if message else 200), got.text
        assert message is None or message in got.json()["error"]


def test_errors_are_those_of_the_protocol(
    service: Running, client: triton.InferenceServerClient
) -> None:
    for path, status in (
        ("models/none", 404),
        ("models/pairs/versions/9/ready", 404),
        ("what", 404),
    ):
        got = service.client.get(f"/v2/{path}")
        assert (got.status_code, list(got.json())) == (status, ["error"])
        assert isinstance(got.json()["error"], str)
    assert service.client.get(INFER).status_code == 405
    assert service.client.post(
        INFER, content=b"x", headers={"Content-Type": "text/plain"}
    ).json() == {
        "error": "Content-Type 'text/plain' is not supported; send application/json or "
        "application/octet-stream"
    }
    many = arrays(*[ARGON] * 21)
    with pytest.raises(InferenceServerException, match="more than 20 structures") as told:
        client.infer("pairs", asked(True, **many))
    assert told.value.status() == "413"


def test_one_structure_that_fails_is_named(gated: tuple[Running, Gated]) -> None:
    server, backend = gated
    backend.culprits = {7.0}
    shifted = {**ARGON, "positions": [[0.0, 0.0, 7.0], [0.0, 0.0, 11.0]]}
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        with pytest.raises(InferenceServerException, match="structure 1: ") as told:
            client.infer("pairs", asked(True, **arrays(ARGON, shifted)))
        assert told.value.status() == "500"


def test_requests_are_counted_by_their_route(service: Running) -> None:
    line = 'equipot_requests_total{method="POST",route="/v2/models/{name}/infer",status="200"}'
    before = service.metric(line)
    assert service.client.post(INFER, json=body()).status_code == 200
    assert service.metric(line) == before + 1
