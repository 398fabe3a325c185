"""A server without jobs loads no database, and one that restarts goes on with them by itself."""

import subprocess
import sys
from pathlib import Path

from tests.api.server import ARGON, running
from tests.paths import ROOT

SCRIPT = """
import sys
from pathlib import Path
from tests.api.server import WATER, running
from tests.paths import MODEL_STORE

folder = Path(sys.argv[1])
with running(MODEL_STORE, default_model="organic-xtb", jobs_folder=folder) as server:
    assert server.predict({"structures": [WATER]}).status_code == 200
    assert not {"sqlalchemy", "alembic", "psycopg"} & set(sys.modules)
    assert not folder.exists()
    assert server.client.get("/jobs").json() == {"jobs": []}
    assert "sqlalchemy" in sys.modules
    assert not {"alembic", "psycopg"} & set(sys.modules)
"""


def test_no_database_is_loaded_before_it_is_needed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "jobs")]
    subprocess.run(command, cwd=ROOT, check=True)


def test_a_server_finds_its_jobs_again(pair_store: Path, tmp_path: Path) -> None:
    with running(pair_store, jobs_folder=tmp_path) as server:
        job = server.client.post("/jobs", json=ARGON).json()["id"]
    with running(pair_store, jobs_folder=tmp_path) as server:
        assert "event: end" in server.client.get(f"/jobs/{job}/events").text
        assert server.client.get(f"/jobs/{job}").json()["done"] == 1
