"""Requests to predict or relax, as bytes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import orjson
import ormsgpack

from app.atoms.structure import Floats, Structure
from app.formats.extxyz import format_frame
from app.protocol.arrays import encoded
from app.protocol.document import structure_fields

RELAX: dict[str, Any] = {"fmax": 0.05, "steps": 60, "optimizer": "lbfgs"}
MEDIA = {"json": "application/json", "xyz": "chemical/x-xyz", "msgpack": "application/x-msgpack"}


def http(content: bytes, media: str, query: str = "", length: int | None = None) -> bytes:
    """A POST to `/predict`, which may announce another length than it has."""
    size = len(content) if length is None else length
    head = f"POST /predict{query} HTTP/1.1\r\nHost: x\r\nContent-Type: {media}\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + content


def document(
    model: str, some: Sequence[Structure], relaxed: bool, array: Callable[[Floats], Any]
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "structures": [structure_fields(one, array) for one in some],
    }
    return body | ({"relax": RELAX} if relaxed else {})


def write_json(model: str, some: Sequence[Structure], relaxed: bool) -> bytes:
    return http(orjson.dumps(document(model, some, relaxed, np.ndarray.tolist)), MEDIA["json"])


def write_msgpack(model: str, some: Sequence[Structure], relaxed: bool) -> bytes:
    return http(ormsgpack.packb(document(model, some, relaxed, encoded)), MEDIA["msgpack"])


def write_xyz(model: str, some: Sequence[Structure], relaxed: bool) -> bytes:
    query = f"?model={model}" + "".join(
        f"&{key}={value}" for key, value in RELAX.items() if relaxed
    )
    return http("".join(map(format_frame, some)).encode(), MEDIA["xyz"], query)


WRITERS = {"json": write_json, "xyz": write_xyz, "msgpack": write_msgpack}
