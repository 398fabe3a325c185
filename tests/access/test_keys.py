"""Keys, their file, and what each has left."""

import json
import threading
from pathlib import Path

import pytest
from pydantic import ValidationError

import app.access.allowance
import app.access.keyring
from app.access.allowance import Allowance
from app.access.caller import CALLER, Caller
from app.access.gate import Gate
from app.access.key_file import changing, read_keys
from app.access.keyring import Keyring
from app.access.keys import PREFIX, Key, digest_of, find
from app.errors import Forbidden, InvalidRequest, RateLimited, Unauthorized
from tests.access.issued import issue


def made(name: str, *scopes: str, **limits: float) -> tuple[Key, str]:
    return Key.make(name, scopes or ("predict",), **limits)


def write(path: Path, *keys: Key) -> None:
    with changing(path) as listed:
        listed[:] = keys


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands until it is set."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_a_secret_is_known_by_its_hash_alone() -> None:
    (one, secret), (other, _) = made("one"), made("other")
    assert secret.startswith(PREFIX)
    assert len(secret) > 40
    assert one.sha256 == digest_of(secret)
    assert secret not in one.model_dump_json()
    assert find([other, one], secret) == one
    for wrong in ("", secret[:-1], secret + "x", one.sha256, secret.upper()):
        assert find([other, one], wrong) is None


@pytest.mark.parametrize(
    ("name", "scopes", "limits"),
    [
        ("a b", ["predict"], {}),
        ("", ["predict"], {}),
        ("a", [], {}),
        ("a", ["everything"], {}),
        ("a", ["predict"], {"rate": 0}),
        ("a", ["predict"], {"concurrency": 0}),
        ("a", ["predict"], {"share": 0.0}),
        ("a", ["predict"], {"share": 1.5}),
    ],
)
def test_what_is_no_key_is_refused(name: str, scopes: list[str], limits: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Key.make(name, scopes, **limits)


def test_admins_may_do_everything_and_others_what_they_were_given() -> None:
    admin, jobs = made("a", "admin")[0], made("j", "jobs")[0]
    assert all(admin.may(scope) for scope in ("predict", "jobs", "metrics", "admin", None))
    assert [jobs.may(scope) for scope in ("jobs", None, "predict", "metrics", "admin")] == [
        True,
        True,
        False,
        False,
        False,
    ]


class TestFile:
    def test_it_comes_back_as_it_was_and_is_its_owners_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        keys = [made("one", rate=10, share=0.5)[0], made("two", "jobs", "admin")[0]]
        write(path, *keys)
        assert read_keys(path) == keys
        assert path.stat().st_mode & 0o777 == 0o600
        path.chmod(0o644)
        write(path, keys[0])
        assert path.stat().st_mode & 0o777 == 0o644
        assert [each.name for each in tmp_path.iterdir()] == ["keys.json"]

    def test_those_who_change_it_at_the_same_time_lose_nothing(self, tmp_path: Path) -> None:
        def add(number: int) -> None:
            with changing(tmp_path / "keys.json") as keys:
                keys.append(made(f"k{number}")[0])

        threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {key.name for key in read_keys(tmp_path / "keys.json")} == {
            f"k{number}" for number in range(8)
        }

    def test_a_change_that_fails_changes_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        write(path, made("one")[0])
        before = path.read_bytes()
        with pytest.raises(ValidationError), changing(path) as keys:
            keys[:] = [made("a b")[0]]
        assert path.read_bytes() == before

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("", "Invalid JSON"),
            (
                '{"keys": [{"name": "a"}]}',
                "keys.0.sha256: missing; expected the SHA-256 of a secret",
            ),
            ('{"kees": []}', "kees: unknown"),
        ],
    )
    def test_what_is_none_is_told_with_its_place(
        self, tmp_path: Path, text: str, told: str
    ) -> None:
        (tmp_path / "keys.json").write_text(text)
        with pytest.raises(InvalidRequest, match=told):
            read_keys(tmp_path / "keys.json")

    def test_a_name_or_a_secret_stands_once(self, tmp_path: Path) -> None:
        path, key = tmp_path / "keys.json", made("one")[0]
        for other in (made("one")[0], key.model_copy(update={"name": "two"})):
            write(path, key, other)
            with pytest.raises(InvalidRequest, match="two keys have the "):
                read_keys(path)
            path.unlink()


class TestKeyring:
    def test_it_follows_its_file(self, tmp_path: Path, clock: list[float]) -> None:
        path = tmp_path / "keys.json"
        (one, first), (two, second) = made("one"), made("two")
        write(path, one)
        ring = Keyring(path)
        assert (ring.find(first), ring.find(second)) == (one, None)
        write(path, two)
        assert ring.find(first) == one  # it looks once a second
        clock[0] += app.access.keyring.LOOK_EVERY
        assert (ring.find(first), ring.find(second)) == (None, two)

    def test_a_file_that_is_none_any_more_changes_nothing(
        self, tmp_path: Path, clock: list[float], caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "keys.json"
        one, first = made("one")
        write(path, one)
        ring = Keyring(path)
        for spoil in (lambda: path.write_text("{"), path.unlink):
            spoil()
            clock[0] += app.access.keyring.LOOK_EVERY
            assert ring.find(first) == one
        assert caplog.text.count("the keys stay as they were") == 2

    def test_without_a_file_it_does_not_begin(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidRequest, match="EQUIPOT_API_KEYS_FILE"):
            Keyring(tmp_path / "keys.json")


class TestAllowance:
    def test_a_minutes_requests_at_once_and_then_steadily(self, clock: list[float]) -> None:
        key, left = made("one", rate=30)[0], Allowance()
        for _ in range(30):
            with left.request(key):
                pass
        with pytest.raises(RateLimited, match="30 requests a minute") as refused, left.request(key):
            pass
        assert refused.value.retry_after == 2.0
        clock[0] += 2.0
        with left.request(key):
            pass
        with pytest.raises(RateLimited), left.request(key):
            pass
        clock[0] += 3600.0
        for _ in range(30):
            with left.request(key):
                pass
        with pytest.raises(RateLimited), left.request(key):
            pass

    def test_so_many_at_a_time(self) -> None:
        key, left = made("one", concurrency=2)[0], Allowance()
        with left.request(key):
            refused = pytest.raises(RateLimited, match="2 requests under way")
            with left.request(key), refused, left.request(key):
                pass
            with left.request(key):
                pass


class TestGate:
    def test_it_says_who_may_come_in_and_why_not(self, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        one, secret = made("one", "predict")
        write(path, one)
        gate = Gate(path)
        assert gate.key(f"Bearer {secret}") == one
        assert gate.key(f"bearer  {secret} ") == one
        for given in (None, "", secret, f"Basic {secret}", "Bearer ", "Bearer x"):
            with pytest.raises(Unauthorized, match="Authorization: Bearer KEY"):
                gate.key(given)
        with gate.request(one, "predict"):
            assert CALLER.get() == Caller("one")
        assert CALLER.get() is None
        refused = pytest.raises(Forbidden, match="'one' may not do this: it needs the scope 'jobs'")
        with refused, gate.request(one, "jobs"):
            pass

    def test_without_a_file_everybody_may(self) -> None:
        gate = Gate(None)
        assert gate.key(None) is None
        with gate.request(None, "admin"):
            assert CALLER.get() is None

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
    def test_this_machine_needs_no_keys(self, host: str) -> None:
        Gate(None).check_address(host, allow_anonymous=False)

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "example.org"])
    def test_others_do_unless_it_is_meant(self, host: str, tmp_path: Path) -> None:
        with pytest.raises(InvalidRequest, match="EQUIPOT_ALLOW_ANONYMOUS=true"):
            Gate(None).check_address(host, allow_anonymous=False)
        Gate(None).check_address(host, allow_anonymous=True)
        (tmp_path / "keys.json").write_text(json.dumps({"keys": []}))
        Gate(tmp_path / "keys.json").check_address(host, allow_anonymous=False)


def test_a_request_within_one_of_the_same_key_counts_once(tmp_path: Path) -> None:
    secret = issue(tmp_path / "keys.json", "one", "predict", concurrency=1)["Authorization"]
    gate = Gate(tmp_path / "keys.json")
    key = gate.key(secret)
    with gate.request(key, "predict"), gate.request(key, "predict"):
        pass
