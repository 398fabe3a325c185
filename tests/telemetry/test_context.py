"""What is taken for the id of a request, and for its trace."""

import re

import pytest

from app.telemetry.context import CONTEXT, RequestContext, count_structure, request_id

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("given", ["a", "7c4e-1", "a.b_c:d/e+f=g@h", "x" * 128])
def test_an_id_is_kept(given: str) -> None:
    assert RequestContext.of([given], []).id == given


@pytest.mark.parametrize(
    "given", [[], [""], ["x" * 129], ["a b"], ["a\nb"], ["é"], ['"'], ["one", "two"]]
)
def test_what_is_none_is_replaced_by_a_new_one(given: list[str]) -> None:
    ids = {RequestContext.of(given, []).id for _ in range(2)}
    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)


def test_a_trace_is_taken() -> None:
    context = RequestContext.of([], [TRACE])
    assert (context.traceparent, context.trace_id) == (TRACE, TRACE[3:35])
    later = "01" + TRACE[2:] + "-more"
    assert RequestContext.of([], [later]).trace_id == TRACE[3:35]


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["x"],
        [TRACE.upper()],
        [TRACE + "-more"],
        ["ff" + TRACE[2:]],
        ["00-" + "0" * 32 + TRACE[35:]],
        [TRACE[:36] + "0" * 16 + "-01"],
        [TRACE, TRACE],
    ],
)
def test_what_is_none_is_passed_over(given: list[str]) -> None:
    assert RequestContext.of([], given).trace_id is None


def test_structures_are_counted_within_a_request() -> None:
    count_structure(3)
    assert request_id() is None
    token = CONTEXT.set(RequestContext("r"))
    try:
        count_structure(3)
        count_structure(4)
        context = CONTEXT.get()
        assert context is not None
        assert (request_id(), context.structures, context.atoms) == ("r", 2, 7)
    finally:
        CONTEXT.reset(token)
