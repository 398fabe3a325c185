"""The database of jobs: SQLite in their folder, or PostgreSQL by its URL; its tables are brought up
to date when it is opened.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    event,
    func,
    insert,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from app.errors import Unavailable
from app.jobs.tables import REVISION, metadata, versions

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 0x6571_7569_706F_74
"""Of PostgreSQL, held while its tables are brought up to date."""
PATIENCE = 30.0
"""Seconds that SQLite waits for another writer."""
READS = "equipot_reads"


class Database:
    """One database of jobs; its methods block, and may be called from any thread.

    Args:
        url: of SQLAlchemy; empty for SQLite in the folder.
        folder: of the jobs.

    Raises:
        Unavailable: it cannot be reached, or is none of the two; the message has no password.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self._url = _url(url, folder)
        try:
            self._engine = _engine(self._url)
            self._bring_up_to_date()
        except ModuleNotFoundError as error:
            raise Unavailable(
                f"jobs in PostgreSQL need {error.name}: pip install 'equipot[postgres]'"
            ) from None
        except SQLAlchemyError as error:
            shown = self._url.render_as_string(hide_password=True)
            raise Unavailable(f"the database of jobs, {shown}, cannot be opened: {error}") from None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; SQLite has one at a time."""
        with self._engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that reads."""
        with self._engine.connect().execution_options(**{READS: True}) as connection:
            yield connection

    def now(self, connection: Connection) -> float:
        """Seconds since 1970, by the clock that all who share the database share."""
        if self._engine.dialect.name == "sqlite":
            return time.time()
        return float(
            connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one()
        )

    def close(self) -> None:
        """Close its connections."""
        self._engine.dispose()

    def _bring_up_to_date(self) -> None:
        """Make the tables, or change those of an earlier version; alembic, which takes most of a second
        to import, is asked for that alone.
        """
        with self.write() as connection:
            if self._engine.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
            if not inspect(connection).has_table(versions.name):
                metadata.create_all(connection)
                versions.create(connection)
                connection.execute(insert(versions).values(version_num=REVISION))
            elif connection.execute(select(versions)).scalars().all() != [REVISION]:
                _migrate(connection)


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _url(given: str, folder: Path) -> URL:
    """Where the database is, with the driver that is used."""
    if not given:
        return URL.create("sqlite", database=str(folder / "jobs.db"))
    try:
        url = make_url(given)
    except ArgumentError:
        raise Unavailable("EQUIPOT_DATABASE is no URL of SQLAlchemy") from None
    kind = url.get_backend_name()
    if kind in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if kind == "sqlite" and url.database:
        return url
    raise Unavailable(
        f"EQUIPOT_DATABASE: '{kind}' is neither postgresql://… nor sqlite:///…, with a file"
    )


def _engine(url: URL) -> Engine:
    try:
        if url.get_backend_name() != "sqlite":
            text_as = {"client_encoding": "utf8"}  # else one in SQL_ASCII gives bytes for text
            return create_engine(url, pool_pre_ping=True, connect_args=text_as)
    except NoSuchModuleError as error:
        raise Unavailable(f"EQUIPOT_DATABASE: {error}") from None
    engine = create_engine(url, connect_args={"timeout": PATIENCE})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _: object) -> None:
    """Let us begin transactions ourselves, readers beside a writer, and rows go with their job."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    """A writer takes the lock at once: one that read first could find that it came too late."""
    reads = connection.get_execution_options().get(READS)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
