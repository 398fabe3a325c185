"""Bodies that were damaged at random: never a fault of the service, never a number that is none.

`TEST_FUZZ` is how many are tried of each kind.
"""

import json
import math
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ormsgpack
import pytest

from tests.api.server import ARGON, CRYSTAL, WATER, Running, running

INPUTS = int(os.environ.get("TEST_FUZZ", "1000"))
SEEDS: list[dict[str, Any]] = [
    {**WATER, "id": "w", "charge": 0, "multiplicity": 1, "fixed": [0]},
    {"structures": [ARGON, CRYSTAL, WATER], "properties": ["energy", "forces", "energies"]},
    {"structures": [ARGON], "relax": {"fmax": 0.1, "steps": 3, "optimizer": "lbfgs"}},
    {**CRYSTAL, "relax": {"cell": "full", "pressure": 0.001, "steps": 2, "fixed_axes": ["a"]}},
    {
        "structures": [
            {**WATER, "pbc": [True, False, True], "cell": [[9, 0, 0], [0, 9, 0], [0] * 3]}
        ]
    },
    {"structures": [{"format": "xyz", "content": "1\n\nAr 0 0 0\n", "id": "f", "seed": 1}, ARGON]},
]
ODD: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1e308,
        -1e308,
        1e-308,
        2**63,
        -(2**63),
        0.1,
        "",
        "Ar",
        "NaN",
        [],
        {},
    ),
    *(
        [[]],
        [None],
        {"a": 1},
        "x" * 2000,
        "\x00",
        "é",
        [1, 2, 3],
        [[0, 0, 0]],
        1e6,
        999999.9,
        118,
        119,
    ),
]


@pytest.fixture(scope="module")
def service(pair_store: Path) -> Iterator[Running]:
    with running(pair_store, log_level="error") as server:
        yield server


def damaged(value: Any, rng: random.Random) -> Any:
    """The value with one part of it replaced, dropped, doubled, or swapped with another."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        changed = dict(value)
        if rng.random() < 0.1:
            del changed[key]
        elif rng.random() < 0.1:
            changed[rng.choice(["numbers", "cel", "relax", "", "cell"])] = changed.pop(key)
        else:
            changed[key] = damaged(value[key], rng)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.85:
        index = rng.randrange(len(value))
        changed = list(value)
        if rng.random() < 0.15:
            del changed[index]
        elif rng.random() < 0.15:
            changed.insert(index, value[index])
        else:
            changed[index] = damaged(value[index], rng)
        return changed
    if isinstance(value, int | float) and not isinstance(value, bool) and rng.random() < 0.4:
        return value * rng.choice([-1, 0, 1e-9, 1e3, 1e9]) + rng.choice([0, 0.29, 1])
    return rng.choice(ODD)


def flipped(content: bytes, rng: random.Random) -> bytes:
    """The bytes with some of them changed, dropped, or put in."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed) or 1)
        kind = rng.random()
        if kind < 0.5 and changed:
            changed[at] = rng.randrange(256)
        elif kind < 0.75:
            del changed[at : at + rng.randint(1, 9)]
        else:
            changed[at:at] = rng.choice([b"[", b"]", b"{", b'"', b"\xdd\xff\xff\xff\xff", b"e999"])
    return bytes(changed)


def is_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(is_finite, value.values()))
    if isinstance(value, list):
        return all(map(is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def check(response: Any, sent: object) -> None:
    assert response.status_code < 500, (response.text, sent)
    answer = response.json()
    assert is_finite(answer), sent
    assert "results" in answer or answer["error"]["message"], sent


@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_json(service: Running, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(INPUTS // len(SEEDS)):
        sent = damaged(SEEDS[seed], rng)
        if rng.random() < 0.3:
            sent = damaged(sent, rng)
        check(service.client.post("/predict", content=json.dumps(sent)), sent)
        raw = flipped(json.dumps(SEEDS[seed]).encode(), rng)
        check(service.client.post("/predict", content=raw), raw)


@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_messagepack(service: Running, seed: int) -> None:
    rng = random.Random(seed)
    headers = {"content-type": "application/x-msgpack", "accept": "application/json"}
    array = {"dtype": "<f8", "shape": [2, 3], "data": bytes(40) + b"\x00" * 6 + b"\x10@"}
    start = {**SEEDS[seed], "positions": array} if "positions" in SEEDS[seed] else SEEDS[seed]
    for _ in range(INPUTS // len(SEEDS)):
        try:
            content = ormsgpack.packb(damaged(start, rng))
        except ormsgpack.MsgpackEncodeError:
            continue
        check(service.client.post("/predict", content=content, headers=headers), content)
        content = flipped(content, rng)
        check(service.client.post("/predict", content=content, headers=headers), content)


XYZ = (
    b'2\nLattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3 id=a charge=0 pbc="T T F"\n'
    b"Ar 0 0 0\nNe 3.1 0.5 -1e-1\n3\n\nO 0 0 0.1\nH 0 .9 -.6\nH 0 -.9 -.6\n"
)


def test_xyz_and_its_query(service: Running) -> None:
    rng = random.Random(0)
    headers = {"content-type": "chemical/x-xyz", "accept": "application/json"}
    for _ in range(INPUTS):
        query = {"fmax": "0.1", "steps": "2", "cell": "fixed", "properties": "energy,forces"}
        if rng.random() < 0.3:
            query[rng.choice([*query, "relax", "strict"])] = str(rng.choice(ODD))[:50]
        content = flipped(XYZ, rng)
        check(
            service.client.post("/predict", content=content, params=query, headers=headers), content
        )


def test_the_service_is_as_well_as_before(service: Running) -> None:
    assert service.predict(ARGON).status_code == 200
    assert service.metric('equipot_queue_depth{model="pairs@2"}') == 0
