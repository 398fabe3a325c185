"""Databases: SQLite in a folder, and PostgreSQL where it is installed."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs import postgres, stores


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Postgres]:
    """A PostgreSQL server."""
    folder = postgres.programs()
    if folder is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    if not postgres.may_run():
        pytest.skip(f"PostgreSQL does not run as root, and there is no user {postgres.USER}")
    pytest.importorskip("psycopg", reason="psycopg is not installed (pip install '.[postgres]')")
    with postgres.running(folder) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, or of a schema that stands for one; empty for SQLite."""
    if request.param == "sqlite":
        return ""
    return str(request.getfixturevalue("server").create(f"s{uuid.uuid4().hex}"))


@pytest.fixture
def scene(tmp_path: Path, database: str) -> Iterator[stores.Scene]:
    """An empty store of jobs."""
    made = stores.scene(tmp_path, database)
    yield made
    made.database.close()
