"""Databases: SQLite in a folder, and PostgreSQL where it is installed."""

import uuid
from collections.abc import Iterator

import pytest

from tests.jobs import postgres


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Postgres]:
    """A PostgreSQL server."""
    folder = postgres.programs()
    if folder is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    pytest.importorskip("psycopg", reason="psycopg is not installed (pip install '.[postgres]')")
    with postgres.running(folder) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database; of SQLite's, the one in the folder of jobs is taken."""
    if request.param == "sqlite":
        return ""
    return str(request.getfixturevalue("server").create(uuid.uuid4().hex))
