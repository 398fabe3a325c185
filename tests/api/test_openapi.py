"""The OpenAPI document as programs take it: a fuzzer that reads it, and a client made from it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.formats.registry import FORMATS
from app.tasks import TASKS
from tests.api.server import ARGON, Running, running

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,unsupported_method"
)
HOOKS = """
import schemathesis

@schemathesis.serializer("application/x-msgpack", %s)
def as_it_is(context, value):
    return value if isinstance(value, bytes) else str(value).encode()
"""
CONFIG = """
package_name_override: equipot_client
post_hooks: []
"""
ASK = """
import sys
sys.path.insert(0, sys.argv[1])
from equipot_client import Client
from equipot_client.api.models import models_models_get as models
from equipot_client.api.predict import predict_predict_post as predict
from equipot_client.models import PredictBody

client = Client(base_url=sys.argv[2], raise_on_unexpected_status=True)
answer = predict.sync(client=client, body=PredictBody.from_dict({"structures": [%s]}))
assert answer.results[0].status == "ok", answer
assert len(answer.results[0].forces) == 2
assert [entry.name for entry in models.sync(client=client).models] == ["pairs", "pairs"]
"""


@pytest.fixture(scope="module")
def service(pair_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of its own, which the fuzzer may keep busy."""
    folder = tmp_path_factory.mktemp("jobs")
    with running(pair_store, log_level="error", jobs_folder=folder) as server:
        yield server


def test_whatever_the_document_allows_gets_an_answer_that_it_describes(
    service: Running, tmp_path: Path
) -> None:
    address = f"http://127.0.0.1:{service.port}/openapi.json"
    options = f"--checks {CHECKS} --max-examples 25 --seed 1 --no-color --phases examples,fuzzing"
    options += f" --exclude-path-regex /tasks/({'|'.join(set(TASKS) - {'eos'})})"  # one is all
    options += " --suppress-health-check too_slow"  # which says how busy the machine is
    command = [sys.executable, "-m", "schemathesis.cli", "run", address, *options.split()]
    texts = {*(known.media_types[0] for known in FORMATS.values()), "application/x-ndjson"}
    (tmp_path / "hooks.py").write_text(HOOKS % str(sorted(texts))[1:-1])
    where = {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | where, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr


def test_a_client_that_is_made_from_the_document_predicts(service: Running, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_bytes(service.client.get("/openapi.json").content)
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    words = ["generate", "--path", "openapi.json", "--meta", "none", "--config", "config.yaml"]
    words += ["--output-path", "equipot_client"]
    command = [sys.executable, "-m", "openapi_python_client", *words]
    made = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    address = f"http://127.0.0.1:{service.port}"
    script = [sys.executable, "-c", ASK % json.dumps(ARGON), str(tmp_path), address]
    asked = subprocess.run(script, check=False, capture_output=True, text=True)
    assert asked.returncode == 0, asked.stderr
