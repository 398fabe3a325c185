"""Bodies that hold more than any request may are refused before anything is made of them."""

import contextlib
import json

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidFormat, StructureTooLarge
from app.protocol import counts
from app.protocol.counts import check_json, check_lines, check_msgpack

STRUCTURES, ATOMS = 10, 1000
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=40)
    | st.binary(max_size=300)
    | st.lists(st.lists(st.floats(), min_size=3, max_size=3), max_size=5),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=40), inner),
    max_leaves=60,
)


def containers(value: object) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(containers, value.values()))
    return 1 + sum(map(containers, value)) if isinstance(value, list) else 0


def entries(value: object) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(entries, value.values()))
    return sum(map(entries, value)) if isinstance(value, list) else 0


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"[]," * 10_000 + b"[]]",
        b'{"a":' * 3000 + b"1" + b"}" * 3000,
        b"[" + b"1," * 100_000 + b"1]",
    ],
    ids=["lists", "objects", "values"],
)
def test_json(body: bytes) -> None:
    with pytest.raises(StructureTooLarge, match="the body has over"):
        check_json(body, STRUCTURES, ATOMS)


def test_the_largest_request_is_let_through() -> None:
    n = ATOMS // STRUCTURES
    one = {
        "id": "[C@@H](O)" * 10,
        "symbols": ["C"] * n,
        "positions": [[0.5, 1.5, 2.5]] * n,
        "cell": [[9.0, 0, 0]] * 3,
        "pbc": [True] * 3,
        "fixed": list(range(n)),
    }
    request = {"structures": [one] * STRUCTURES, "relax": {"fixed_axes": ["a", "b"]}}
    check_json(json.dumps(request, indent=1).encode(), STRUCTURES, ATOMS)
    check_msgpack(ormsgpack.packb(request), STRUCTURES, ATOMS)
    frame = f"{n}\n\n" + "C 0.5 1.5 2.5\r\n" * n + "\n"
    check_lines((frame * STRUCTURES).count("\n"), STRUCTURES, ATOMS)


def test_xyz_of_blank_lines() -> None:
    with pytest.raises(StructureTooLarge, match="lines"):
        check_lines(10_000, STRUCTURES, ATOMS)


@given(VALUES)
def test_msgpack_is_walked_through_as_it_is_read(value: object) -> None:
    body, number = ormsgpack.packb(value), containers(value)
    spare = counts.EACH_STRUCTURE  # of no structure
    assert check_msgpack(body, 0, number - spare) == entries(value)
    if number:
        with pytest.raises(StructureTooLarge):
            check_msgpack(body, 0, number - 1 - spare)
    with pytest.raises(InvalidFormat, match=f"at byte {len(body)}"):
        check_msgpack(body + b"\x00", 0, number - spare)


@given(st.binary(max_size=200))
def test_no_bytes_surprise_it(body: bytes) -> None:
    with contextlib.suppress(InvalidFormat, StructureTooLarge):
        check_msgpack(body, STRUCTURES, ATOMS)
