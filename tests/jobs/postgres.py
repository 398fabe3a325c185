"""A PostgreSQL server of the tests' own, where its programs are installed."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEBIAN = Path("/usr/lib/postgresql")
USER = "postgres"
"""Its programs refuse to run as root; Debian's package makes this user."""


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`; None where they are not installed."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = sorted(DEBIAN.glob("*/bin"), key=lambda path: float(path.parent.name))
    return folders[-1] if folders else None


def may_run() -> bool:
    """Whether there is a user whom its programs run as."""
    try:
        return os.geteuid() != 0 or bool(pwd.getpwnam(USER))
    except KeyError:
        return False


@dataclass(frozen=True)
class Postgres:
    """A server that listens on a socket in a folder and on no port."""

    folder: Path

    def create(self, name: str) -> str:
        """The URL of a new and empty schema, which is made and removed quicker than a database."""
        import psycopg

        with psycopg.connect(host=str(self.folder), user=USER, dbname=USER) as connection:
            connection.execute(f'CREATE SCHEMA "{name}"'.encode())
        return f"postgresql://{USER}@/{USER}?host={self.folder}&options=-csearch_path%3D{name}"

    def create_ascii(self, name: str) -> str:
        """The URL of a new database in the encoding `SQL_ASCII`, which is none."""
        import psycopg

        with psycopg.connect(
            host=str(self.folder), user=USER, dbname=USER, autocommit=True
        ) as connection:
            made = f"CREATE DATABASE \"{name}\" ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
            connection.execute(made.encode())
        return f"postgresql://{USER}@/{name}?host={self.folder}"


@contextlib.contextmanager
def running(bin_folder: Path) -> Iterator[Postgres]:
    """A server for the length of a block."""
    given: dict[str, Any] = {"user": USER, "group": USER} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="equipot-pg-", dir="/tmp"))
    if given:
        shutil.chown(folder, USER, USER)
    data = folder / "data"
    how = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT, **given}
    make = [
        "--username",
        USER,
        "--auth",
        "trust",
        "--no-sync",
        "--encoding",
        "UTF8",
        "--locale",
        "C",
    ]
    subprocess.run([bin_folder / "initdb", "-D", data, *make], check=True, **how)
    options = ["-c", "listen_addresses=", "-c", "fsync=off", "-k", folder]
    server = subprocess.Popen([bin_folder / "postgres", "-D", data, *options], **how)
    try:
        ask = [bin_folder / "pg_isready", "-q", "-h", folder]
        while subprocess.run(ask, check=False).returncode:
            assert server.poll() is None, "postgres ended"
        yield Postgres(folder)
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: nobody needs what is in it
        server.wait(60)
        shutil.rmtree(folder, ignore_errors=True)
