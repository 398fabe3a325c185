"""`equipot keys`, and the service that reads its file, as commands."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.access.key_file import read_keys
from app.access.keys import digest_of
from app.cli.main import main

SERVE = [sys.executable, "-m", "app.cli.main", "serve"]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "keys.json"
    monkeypatch.setenv("EQUIPOT_API_KEYS_FILE", str(path))
    return path


def test_a_key_is_added_listed_and_revoked(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = ["--rate", "60", "--concurrency", "4", "--share", "0.5"]
    assert main(["keys", "add", "alice", "--scopes", "predict, jobs", *limits]) == 0
    shown = capsys.readouterr()
    secret = shown.out.strip()
    assert re.fullmatch(r"equipot_[\w-]{43}", secret)
    assert "not shown again" in shown.err
    (key,) = read_keys(file)
    assert key.sha256 == digest_of(secret)
    assert main(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert re.search(
        r"^alice  jobs,predict  60    4            0.5    \d{4}-", listed, re.MULTILINE
    )
    assert secret not in listed
    assert key.sha256 not in listed
    assert main(["keys", "add", "bob", "--json"]) == 0
    assert digest_of(json.loads(capsys.readouterr().out)["secret"]) == read_keys(file)[1].sha256
    assert main(["keys", "revoke", "alice"]) == 0
    assert main(["keys", "list", "--json"]) == 0
    (left,) = json.loads(capsys.readouterr().out)
    assert (left["name"], left["scopes"], left["rate"]) == ("bob", ["jobs", "predict"], None)


def test_a_link_to_the_file_stays_one(file: Path, tmp_path: Path) -> None:
    assert main(["keys", "add", "alice"]) == 0
    link = tmp_path / "link.json"
    link.symlink_to(file)
    assert main(["keys", "add", "bob", "--file", str(link)]) == 0
    assert link.is_symlink()
    assert [key.name for key in read_keys(file)] == ["alice", "bob"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["add", "alice"], "has a key 'alice'"),
        (["add", "a b"], "name: 'a b'; expected 1 to 64 letters, digits"),
        (["add", "x", "--scopes", "all"], "scopes: 'all'; expected some of predict, jobs"),
        (["add", "x", "--rate", "0"], "rate: '0'; expected requests a minute, a whole number"),
        (["add", "x", "--share", "nan"], "share: 'nan'; expected a part of the queue"),
        (["add", "x", "--scopes", ","], "expected some of predict"),
        (["revoke", "bob"], "has no key 'bob'"),
    ],
)
def test_what_cannot_be_done_is_told(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    main(["keys", "add", "alice"])
    before = file.read_bytes()
    capsys.readouterr()
    assert main(["keys", *arguments]) == 2
    assert told in capsys.readouterr().err
    assert file.read_bytes() == before


def test_without_a_file_it_says_how_to_name_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("EQUIPOT_API_KEYS_FILE", raising=False)
    assert main(["keys", "list"]) == 2
    assert "give --file, or set EQUIPOT_API_KEYS_FILE" in capsys.readouterr().err
    assert main(["keys"]) == 2


def test_the_service_does_not_listen_to_everybody_unless_it_is_told_so(tmp_path: Path) -> None:
    quiet = {"EQUIPOT_JOBS_FOLDER": "", "EQUIPOT_CACHE": "", "EQUIPOT_MEASURE": "false"}
    environment = {**os.environ, **quiet, "EQUIPOT_PORT": "0", "EQUIPOT_HOST": "0.0.0.0"}
    environment.pop("EQUIPOT_API_KEYS_FILE", None)
    done = subprocess.run(SERVE, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "setting host: 0.0.0.0 can be reached from other machines" in done.stderr
    file = tmp_path / "keys.json"
    assert main(["keys", "add", "a", "--file", str(file)]) == 0
    environment["EQUIPOT_API_KEYS_FILE"] = str(file)
    with subprocess.Popen(SERVE, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            listening = next(line for line in lines if "listening on" in line)
            port = listening.rstrip().rpartition(":")[2]
            assert httpx.get(f"http://127.0.0.1:{port}/models").status_code == 401
        finally:
            process.terminate()
            process.communicate(timeout=60)
