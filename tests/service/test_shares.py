"""Who has which version behind an alias."""

from collections import Counter

from app.access.caller import CALLER, Caller
from app.protocol.admin import Alias
from app.service.shares import at, chosen
from app.telemetry.context import CONTEXT, RequestContext


def alias(by: str = "caller", **shares: float) -> Alias:
    """An alias of versions m1, m2, … of a model."""
    return Alias(shares={f"m@{name[1:]}": share for name, share in shares.items()}, by=by)


def versions(given: Alias, keys: int) -> list[str]:
    """What each of some callers has."""
    had = []
    for key in range(keys):
        token = CALLER.set(Caller(f"key-{key}"))
        had.append(chosen("m", given))
        CALLER.reset(token)
    return had


def test_versions_lie_in_their_order_however_they_are_written() -> None:
    for given in (alias(m9=90, m10=10), alias(m10=10, m9=90)):
        assert [at(given, point) for point in (0, 89.9, 90.0, 99.9)] == ["m@9"] * 2 + ["m@10"] * 2


def test_callers_are_shared_out_and_keep_what_they_have_when_the_last_share_grows() -> None:
    before, after = versions(alias(m3=90, m4=10), 1000), versions(alias(m3=70, m4=30), 1000)
    assert Counter(before) == {"m@3": 898, "m@4": 102}
    assert Counter(after)["m@4"] == 308
    assert all(now == "m@4" for was, now in zip(before, after, strict=True) if was == "m@4")


def test_two_aliases_are_shared_out_for_themselves() -> None:
    both = alias(m3=50, m4=50)
    token = CALLER.set(Caller("alice"))
    assert len({chosen(f"name-{number}", both) for number in range(20)}) == 2
    CALLER.reset(token)


def test_without_keys_it_is_the_address_and_by_request_the_request() -> None:
    even = alias(m3=50, m4=50), alias("request", m3=50, m4=50)
    had: list[set[str]] = [set(), set()]
    for number in range(20):
        token = CONTEXT.set(RequestContext(str(number), address="10.0.0.1"))
        for each, given in zip(had, even, strict=True):
            each.add(chosen("m", given))
        CONTEXT.reset(token)
    assert [len(each) for each in had] == [1, 2]
