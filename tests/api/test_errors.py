from starlette.requests import Request

from app import errors
from app.api.body import accepted_kind
from app.protocol.faults import TABLE, fault


def leaves(kind: type[errors.EquipotError]) -> set[type[errors.EquipotError]]:
    children = kind.__subclasses__()
    return set().union(*map(leaves, children)) if children else {kind}


def test_every_leaf_is_in_the_table() -> None:
    assert leaves(errors.EquipotError) == set(TABLE)


def test_codes_differ() -> None:
    codes = [code for _, code in TABLE.values()]
    assert len(set(codes)) == len(codes)


def test_a_class_of_elsewhere_takes_its_parents_status() -> None:
    class Narrower(errors.UnknownModel):
        """Not in the table."""

    shown = fault(Narrower("which"))
    del Narrower
    assert (shown.status, shown.code, shown.message) == (404, "unknown_model", "which")


def test_accept() -> None:
    def kind(accept: str) -> str:
        scope = {"type": "http", "headers": [(b"accept", accept.encode())]}
        return accepted_kind(Request(scope), "xyz")

    assert kind("") == "xyz"
    assert kind("*/*") == "xyz"
    assert kind("image/png") == "xyz"
    assert kind("application/json") == "json"
    assert kind("application/json;q=0.1, chemical/x-xyz;q=0.5") == "xyz"
    assert kind("application/json;q=much, text/plain;q=0.2") == "xyz"
    assert kind("APPLICATION/JSON; charset=utf-8; q=0.9, chemical/x-xyz;q=0.5") == "json"
