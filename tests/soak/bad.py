"""What misbehaved clients send, and what they are to be told."""

import math
import struct
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
import ormsgpack
from ase import Atoms

from app.atoms.structure import Structure
from app.formats.ase_atoms import from_ase
from app.protocol.arrays import encoded
from app.protocol.document import structure_fields
from tests.soak.wire import MEDIA, RELAX, document, http, write_json, write_msgpack

LIMITS = {
    "max_body_bytes": 500_000,
    "max_structures": 32,
    "max_atoms": 600,
    "max_request_atoms": 1500,
    "max_edges": 100_000,
    "body_timeout": 2,
}
"""Settings of the service, small, so that it takes little to be over them."""


@dataclass(frozen=True)
class Bad:
    """What a misbehaved client does.

    Attributes:
        name: what it is called in reports.
        content: what it sends.
        status: of the answer; 0 where it does not wait for one.
        told: what the answer has to contain.
        stays: seconds before it leaves without an answer.
    """

    name: str
    content: bytes
    status: int
    told: str = ""
    stays: float = 0.0


def bad_requests(model: str, is_noble: bool) -> list[Bad]:
    """Everything a client may do wrong, to a model of argon or of carbon, without silicon."""
    symbol, alien = "Ar" if is_noble else "C", "Si"
    pair = Structure(
        np.array([from_ase(Atoms(symbol)).numbers[0]] * 2),
        np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 3.0]]),
    )
    poisoned = _poisoned(model, pair, alien) + ([_exploding(model, pair)] if is_noble else [])
    return [*poisoned, *_malformed(model, pair), *_oversized(model, pair), *_leaving(model, pair)]


def _poisoned(model: str, pair: Structure, alien: str) -> list[Bad]:
    close, one = document(model, [pair], False, np.ndarray.tolist), structure_fields(pair)
    nan = replace_positions(
        document(model, [pair], False, encoded), encoded(np.array([[0.0, 0, 0], [0, 0, math.nan]]))
    )
    overlapping = replace_positions(close, [[0, 0, 0], [0, 0, 0.01]])
    unknown = one | {"symbols": [alien, alien]}
    xyz = f"2\nProperties=species:S:1:pos:R:3\n{pair.symbols[0]} 0 0 0\n{pair.symbols[0]} 0 0 nan\n".encode()
    dumps, media = orjson.dumps, MEDIA["json"]
    return [
        Bad(
            "NaN in JSON",
            http(b'{"symbols": ["H"], "positions": [[0, 0, NaN]]}', media),
            422,
            "invalid_format",
        ),
        Bad(
            "NaN in MessagePack",
            http(ormsgpack.packb(nan), MEDIA["msgpack"]),
            422,
            "invalid_structure",
        ),
        Bad("NaN in XYZ", http(xyz, MEDIA["xyz"], f"?model={model}"), 422, "invalid_structure"),
        Bad("overlapping atoms", http(dumps(overlapping), media), 422, "invalid_structure"),
        Bad(
            "unknown element",
            http(dumps(unknown | {"model": model}), media),
            422,
            "unsupported_element",
        ),
        Bad(
            "one of three unknown",
            http(dumps({"model": model, "structures": [one, unknown, one]}), media),
            200,
            "unsupported_element",
        ),
    ]


def _exploding(model: str, pair: Structure) -> Bad:
    """Two atoms whose repulsion is beyond all limits."""
    strained = replace_positions(
        document(model, [pair], False, np.ndarray.tolist), [[0, 0, 0], [0, 0, 0.4]]
    )
    return Bad(
        "exploding relaxation",
        http(orjson.dumps(strained | {"relax": RELAX}), MEDIA["json"]),
        200,
        "exploded",
    )


def replace_positions(document: dict[str, Any], positions: Any) -> dict[str, Any]:
    """A document of one structure, with other positions."""
    (only,) = document["structures"]
    return document | {"structures": [only | {"positions": positions}]}


def _malformed(model: str, pair: Structure) -> list[Bad]:
    content = orjson.dumps(document("nobody", [pair], False, np.ndarray.tolist))
    return [
        Bad(
            "half a JSON", http(content[: len(content) // 2], MEDIA["json"]), 422, "invalid_format"
        ),
        Bad(
            "no XYZ",
            http(b"not a number\n\nAr 0 0 0\n", MEDIA["xyz"], f"?model={model}"),
            422,
            "invalid_format",
        ),
        Bad(
            "half a MessagePack",
            http(ormsgpack.packb({"a": [1, 2]})[:-1], MEDIA["msgpack"]),
            422,
            "invalid_format",
        ),
        Bad("unknown model", http(content, MEDIA["json"]), 404, "unknown_model"),
        Bad("unknown type", http(b"{}", "image/png"), 415, "unsupported_media_type"),
        Bad("no HTTP", b"\x16\x03\x01\x02\x00" + struct.pack("<8Q", *range(8)) + b"\r\n\r\n", 400),
    ]


def _oversized(model: str, pair: Structure) -> list[Bad]:
    def chain(atoms: int, spacing: float) -> Structure:
        return replace(
            pair,
            numbers=np.full(atoms, pair.numbers[0]),
            positions=np.outer(np.arange(atoms), [0, 0, spacing]),
        )

    def sent(some: list[Structure]) -> bytes:
        return write_msgpack(model, some, False)

    grid = 0.6 * np.array(list(np.ndindex(8, 8, 8)), dtype=float)
    dense = replace(pair, numbers=np.full(512, pair.numbers[0]), positions=grid)
    piece = b"2000\r\n" + b" " * 0x2000 + b"\r\n"
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    return [
        Bad("body announced too large", http(b"{", MEDIA["json"], length=10**8), 413, "too_large"),
        Bad(
            "body too large in chunks",
            head + piece * (LIMITS["max_body_bytes"] // 0x2000 + 1),
            413,
            "too_large",
        ),
        Bad("too many structures", sent([pair] * 33), 413, "too_large"),
        Bad("too many atoms in one", sent([chain(601, 3.0)]), 413, "too_large"),
        Bad("too many atoms in all", sent([chain(400, 3.0)] * 4), 413, "too_large"),
        Bad("too many edges", sent([dense]), 413, "too_large"),
    ]


def _leaving(model: str, pair: Structure) -> list[Bad]:
    content = write_json(model, [pair], False)
    cluster = replace(
        pair,
        numbers=np.full(27, pair.numbers[0]),
        positions=3.2 * np.array(list(np.ndindex(3, 3, 3))),
    )
    long = document(model, [cluster] * 4, False, np.ndarray.tolist) | {
        "relax": {"fmax": 1e-12, "steps": 1000}
    }
    return [
        Bad("half a request, then gone", content[:-20], 0, stays=0.05),
        Bad("half a request, then silence", content[:-20], 408, "request_timeout"),
        Bad("gone at once", content, 0, stays=0.005),
        Bad("gone in a relaxation", http(orjson.dumps(long), MEDIA["json"]), 0, stays=0.05),
    ]
