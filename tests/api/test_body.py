"""What a request claims to be, and what it wants back."""

from starlette.requests import Request

from app.api.body_kinds import accepted_kind


def test_the_kind_that_accept_prefers() -> None:
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
