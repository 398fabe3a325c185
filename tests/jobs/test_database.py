"""Where jobs are, and what is said where they cannot be."""

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.errors import Unavailable
from app.jobs.database import MIGRATIONS, Database
from app.jobs.tables import REVISION, metadata
from tests.jobs.postgres import Postgres
from tests.jobs.stores import Scene
from tests.jobs.stores import scene as scene_of


def test_new_tables_are_those_that_are_used(scene: Scene) -> None:
    with scene.database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert MigrationContext.configure(connection).get_current_revision() == REVISION


def test_migrations_make_the_tables_that_are_used(
    scene: Scene, database: str, tmp_path: Path
) -> None:
    """Down to the first version, and up again as an old database is when it is opened."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION
    with scene.database.write() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
        assert compare_metadata(MigrationContext.configure(connection), metadata)
    again = Database(database, tmp_path)
    with again.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    again.close()


def test_a_database_without_an_encoding_holds_text(server: Postgres, tmp_path: Path) -> None:
    """PostgreSQL gives bytes from one in `SQL_ASCII`, unless it is told what the client reads."""
    made = scene_of(tmp_path, server.create_ascii("ascii"))
    job = made.create(options='{"é": 1}')
    assert made.store.get(job.id).options == '{"é": 1}'
    made.database.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "no URL"),
        ("mysql://somewhere/x", "neither postgresql"),
        ("sqlite://", "neither postgresql"),
        ("postgresql://user:secret@127.0.0.1:1/x?connect_timeout=2", "cannot be opened"),
    ],
)
def test_what_cannot_be_opened_is_said_without_the_password(
    tmp_path: Path, url: str, message: str
) -> None:
    if url.startswith("postgresql"):
        pytest.importorskip("psycopg", reason="psycopg is not installed")
    with pytest.raises(Unavailable, match=message) as refused:
        Database(url, tmp_path)
    assert "secret" not in str(refused.value)


def test_a_file_of_sqlite_may_be_named(tmp_path: Path) -> None:
    Database(f"sqlite:///{tmp_path}/mine.db", tmp_path).close()
    assert (tmp_path / "mine.db").exists()
