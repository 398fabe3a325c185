"""From messages to requests; what a real server makes of them is in `tests/api`."""

import json

import pytest

from app.errors import InvalidFormat, InvalidRequest, StructureTooLarge
from app.protocol.decode import decode
from app.protocol.query import relax_from
from app.protocol.request import Kind, Message, PredictRequest, RequestLimits
from app.relax import RelaxOptions

LIMITS = RequestLimits(structures=2, atoms=5, relax_steps=100)
WATER = {"symbols": ["O", "H", "H"], "positions": [[0, 0, 0], [0, 0, 1], [0, 1, 0]]}
WATER_XYZ = "3\nid=w\nO 0 0 0\nH 0 0 1\nH 0 1 0\n"


def decoded(body: object, kind: Kind = "json", **query: str) -> PredictRequest:
    content = body if isinstance(body, str) else json.dumps(body)
    return decode(Message(kind, content.encode(), list(query.items()), kind), LIMITS)


def test_the_same_question_in_json_and_xyz() -> None:
    relax = {"fmax": 0.02, "steps": 50, "cell": "isotropic"}
    fields = {"model": "m@1", "properties": ["energy"], "relax": relax}
    from_json = decoded({**WATER, "id": "w", **fields})
    query = {"model": "m@1", "properties": "energy", "fmax": "0.02", "steps": "50"}
    from_xyz = decoded(WATER_XYZ, "xyz", **query, cell="isotropic")
    assert (from_json.model, from_json.properties, from_json.relax, from_json.explicit) == (
        *(from_xyz.model, from_xyz.properties, from_xyz.relax, from_xyz.explicit),
    )
    assert [entry.id for entry in from_json.entries] == [entry.id for entry in from_xyz.entries]
    assert from_json.n_atoms == from_xyz.n_atoms == 3
    assert not from_json.derivatives


@pytest.mark.parametrize(
    ("body", "error", "told"),
    [
        ({"structures": [WATER] * 3}, StructureTooLarge, "more than 2 structures"),
        ({"structures": [WATER] * 2}, StructureTooLarge, "6 atoms; at most 5"),
        ({**WATER, "relax": {"steps": 101}}, InvalidRequest, "relax.steps: 101; at most 100"),
        ("{", InvalidFormat, "not valid JSON"),
        ([], InvalidRequest, "must be a JSON object"),
    ],
)
def test_what_is_refused_as_a_whole(body: object, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        decoded(body)


def test_steps_that_are_not_stated_are_within_the_limit() -> None:
    for relax, steps in ((True, 100), ({"fmax": 0.1}, 100), ({"steps": 7}, 7)):
        request = decoded({**WATER, "relax": relax})
        assert request.relax is not None
        assert request.relax.steps == steps


def test_a_bad_structure_is_its_own_error_and_counts_no_atoms() -> None:
    request = decoded({"structures": [WATER, {"symbols": ["Qq"], "positions": [[0, 0, 0]]}]})
    assert len(request.structures) == 1
    assert "'Qq' is not a chemical symbol" in str(request.entries[1].structure)


def test_a_bad_frame_is_its_own_error_and_a_bad_body_one_of_the_request() -> None:
    bad = "1\n\nH 0 zero 0\n"
    good, lost = decoded("1\n\nH 0 0 0\n" + bad, "xyz").entries
    assert good.structure.symbols == ["H"]
    assert "frame 1, line 6: 'zero' is not a number" in str(lost.structure)
    with pytest.raises(InvalidFormat, match="frame 0, line 3"):
        decoded(bad, "xyz")


def test_heavy_hydrogen_carries_a_warning_in_json_and_xyz() -> None:
    heavy = {"symbols": ["D", "D"], "positions": [[0, 0, 0], [0, 0, 0.74]]}
    for request in (decoded(heavy), decoded("2\n\nD 0 0 0\nD 0 0 0.74\n", "xyz")):
        (entry,) = request.entries
        assert entry.structure.symbols == ["H", "H"]
        assert [warning.code for warning in entry.warnings] == ["isotope_ignored"]


def test_options_as_text() -> None:
    options = relax_from({"fixed_axes": "a,c", "cell": "true", "pressure": "0.1"})
    assert options == RelaxOptions(fixed_axes=("a", "c"), cell="full", pressure=0.1)
    with pytest.raises(InvalidRequest, match="optimizer"):
        relax_from({"optimizer": "adam"})
