"""Bodies in parts: together they are the body, and what is wrong is found before a job is made."""

import json
from pathlib import Path
from typing import Any

import orjson
import ormsgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import InputError, InvalidFormat, InvalidRequest, StructureTooLarge
from app.jobs import parts as parts_module
from app.jobs.options import Body
from app.jobs.parts import PART_STRUCTURES, PartLimits, Parts, body
from app.jobs.split import split
from app.protocol.request import Kind, RequestLimits
from tests.jobs.argon import clusters

LIMITS = PartLimits(10_000, 100_000)
REQUEST = RequestLimits(structures=1, atoms=1, relax_steps=100, conformers=1)
ASKED: dict[str, Any] = {"model": "pairs", "relax": {"fmax": 0.1, "cell": False}, "strict": True}


def parts_of(folder: Path, content: bytes, kind: Kind, limits: PartLimits = LIMITS) -> Parts:
    path = folder / "input"
    path.write_bytes(content)
    return split(path, kind, limits)


def bodies(content: bytes, kind: Kind, parts: Parts) -> list[bytes]:
    return [
        body(kind, parts.prefix, content[part.start : part.stop], part.structures)
        for part in parts.parts
    ]


def xyz(count: int) -> bytes:
    frame = "2\nid=%d\nAr 0 0 0\nAr 0 0 3.9\n"
    return "".join(frame % number for number in range(count)).encode()


@pytest.mark.parametrize("kind", ["json", "msgpack"])
@pytest.mark.parametrize("count", [1, PART_STRUCTURES, 2 * PART_STRUCTURES + 1])
@pytest.mark.parametrize("asked_last", [False, True])
def test_parts_are_bodies_that_hold_all_structures_and_all_that_is_asked(
    tmp_path: Path, kind: Kind, count: int, asked_last: bool
) -> None:
    structures = {"structures": clusters(count, 2)}
    document = structures | ASKED if asked_last else ASKED | structures
    content = json.dumps(document).encode() if kind == "json" else ormsgpack.packb(document)
    read = orjson.loads if kind == "json" else ormsgpack.unpackb
    parts = parts_of(tmp_path, content, kind)
    assert parts.structures == count
    found = [read(each) for each in bodies(content, kind, parts)]
    assert [s for each in found for s in each.pop("structures")] == structures["structures"]
    assert all(each == ASKED for each in found)


def test_frames_keep_their_numbers_and_lines_in_messages(tmp_path: Path) -> None:
    content = xyz(PART_STRUCTURES) + b"2\n\nAr 0 0 0\nAr 0 0 x\n" + xyz(1)
    parts = parts_of(tmp_path, content, "xyz")
    first, second = parts.parts
    assert (first.structures, second.structures) == (PART_STRUCTURES, 2)
    entries = Body("xyz", [], b"", REQUEST).entries(second, content[second.start : second.stop])
    assert "frame 256, line 1028" in str(entries[0].structure)
    assert entries[1].id == "0"


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (b"\xef\xbb\xbf" + xyz(2), 2),
        (b"\n\n" + xyz(1) + b"\n  \n" + xyz(1), 2),
        (xyz(1).replace(b"\n", b"\r\n"), 1),
        (xyz(1) + b"5\nno\n", 2),
        (xyz(1) + b"Ar 1 1 1\n" + xyz(1), 1),
        (b"nothing\n" + xyz(3), 1),
    ],
    ids=["mark", "blank lines", "windows", "truncated", "an atom more", "no count"],
)
def test_frames_are_counted_as_they_are_read(tmp_path: Path, content: bytes, count: int) -> None:
    parts = parts_of(tmp_path, content, "xyz")
    assert parts.structures == count
    (part,) = parts.parts
    assert len(Body("xyz", [], b"", REQUEST).entries(part, content)) == count


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=40)
@given(
    elements=st.lists(JSON, min_size=1, max_size=10),
    asked=st.dictionaries(st.text().filter(lambda key: key != "structures"), JSON, max_size=3),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
)
def test_any_json_is_taken_apart_as_it_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    elements: list[Any],
    asked: dict[str, Any],
    indent: int | None,
    ascii_only: bool,
) -> None:
    document = {"structures": elements, **asked}
    content = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode()
    parts = parts_of(tmp_path_factory.getbasetemp(), content, "json")
    assert parts.structures == len(elements)
    assert [json.loads(each) for each in bodies(content, "json", parts)] == [document]


def test_what_is_larger_than_a_window_is_taken_apart_too(tmp_path: Path) -> None:
    rows = [[1.5, 2.5, float(n)] for n in range(6000)]
    text = 'a "quoted" \\ text, [1, {2' * 6000
    document = {"structures": [{"positions": rows, "id": text}, {"id": "next"}], "model": "a"}
    content = json.dumps(document).encode()
    parts = parts_of(tmp_path, content, "json", PartLimits(10, 1_000_000))
    assert parts.structures == 2
    assert [json.loads(each) for each in bodies(content, "json", parts)] == [document]


@pytest.mark.parametrize("kind", ["json", "msgpack"])
def test_a_single_structure_is_a_body_as_it_is(tmp_path: Path, kind: Kind) -> None:
    document = clusters(1)[0] | ASKED
    content = json.dumps(document).encode() if kind == "json" else ormsgpack.packb(document)
    parts = parts_of(tmp_path, content, kind)
    assert bodies(content, kind, parts) == [content]


@pytest.mark.parametrize(
    "content",
    [
        b'{"structures":[{},]}',
        b'{"structures":[,{}]}',
        b'{"structures":[{}}',
        b'{"structures":[{}',
        b'{"structures":[{}]',
        b'{"structures":[{}]}{}',
        b'{"structures":[{"a":1 2}]}',
        b'{"structures":[{"a":"x]}',
        b'{"structures":[[}]]}',
        b'{"structures":[{}],}',
        b'{"structures":[{}] "model":1}',
        b"{structures:[{}]}",
    ],
)
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InvalidFormat):
        parts_of(tmp_path, content, "json")


@pytest.mark.parametrize("kind", ["json", "msgpack"])
def test_structures_that_stand_twice_are_refused(tmp_path: Path, kind: Kind) -> None:
    content = {
        "json": b'{"structures":[{}],"structures":[{}]}',
        "msgpack": b"\x82\xaastructures\x91\x80\xd9\x0astructures\x91\x80",
    }[kind]
    with pytest.raises(InvalidRequest, match="stands twice"):
        parts_of(tmp_path, content, kind)


def test_a_key_that_stands_twice_in_a_structure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="id: stands twice"):
        parts_of(tmp_path, b'{"structures":[{},{"id":"a","id":"b"}]}', "json")


@pytest.mark.parametrize("cut", [1, 20, 40])
def test_a_truncated_msgpack_is_refused(tmp_path: Path, cut: int) -> None:
    content = ormsgpack.packb({"structures": clusters(2), "model": "a"})
    with pytest.raises(InvalidFormat, match="ends before"):
        parts_of(tmp_path, content[:-cut], "msgpack")
    with pytest.raises(InvalidFormat, match="goes on"):
        parts_of(tmp_path, content + bytes(cut), "msgpack")


@pytest.mark.parametrize("kind", ["json", "msgpack", "xyz"])
def test_limits_are_named(tmp_path: Path, kind: Kind) -> None:
    document = {"structures": clusters(30)}
    content = {
        "json": json.dumps(document).encode(),
        "msgpack": ormsgpack.packb(document),
        "xyz": xyz(30),
    }[kind]
    with pytest.raises(StructureTooLarge, match="max_job_structures"):
        parts_of(tmp_path, content, kind, PartLimits(29, 100_000))
    with pytest.raises(StructureTooLarge, match="max_body_bytes"):
        parts_of(tmp_path, content, kind, PartLimits(30, 20))


@pytest.mark.parametrize(
    "content",
    [
        b'{"structures":[' + b"[1," * 100_000,
        b'{"structures":[' + b'{"a":' * 100_000,
        b'{"structures":[' + b'{"a":[1],"b":["x",' * 50_000,
        b'{"structures":["' + b"a" * 500_000,
        b'{"structures":[' + b'"\\' * 200_000,
        b'{"a":' * 100_000,
    ],
)
def test_hostile_json_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError):
        parts_of(tmp_path, content, "json")


def test_what_is_asked_is_bounded(tmp_path: Path) -> None:
    asked = {"model": "x" * parts_module.MOST_PREFIX, "structures": clusters(1)}
    for kind, content in (
        ("json", json.dumps(asked).encode()),
        ("msgpack", ormsgpack.packb(asked)),
    ):
        with pytest.raises(InvalidFormat, match="besides structures"):
            parts_of(tmp_path, content, kind)  # type: ignore[arg-type]
