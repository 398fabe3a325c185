"""The files of jobs: a folder for each, with its input, its results, and what is under way.

    ID/input             the body, until the job ends
    ID/results/N.TOKEN   results of chunk N, by who wrote them; counts once the chunk's row names it
    ID/work/N            how far chunk N is, while it is under way

Files are written beside their place and moved there when they are on the disk, so that each is there
as a whole or not at all.
"""

import os
import shutil
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

ABANDONED = 86_400.0
"""Seconds after which the folder of no job is an upload that was cut off."""


class JobFolder:
    """Where the files of all jobs are; made for its owner alone.

    Args:
        root: the folder; made where it is not there.

    Raises:
        OSError: it cannot be made or written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        marker = root / "folder.id"
        if not marker.exists():
            write(marker, uuid.uuid4().hex.encode(), replaces=False)
        self.id = marker.read_text().strip()

    def create(self, job: str) -> Path:
        """Make the folder of a job; where its input is to be written."""
        for part in ("results", "work"):
            (self.root / job / part).mkdir(parents=True)
        return self.input(job)

    def input(self, job: str) -> Path:
        """Where the body of a job is."""
        return self.root / job / "input"

    def read_input(self, job: str, start: int, stop: int) -> bytes:
        """A range of the body of a job."""
        with self.input(job).open("rb") as file:
            file.seek(start)
            return file.read(stop - start)

    def results(self, job: str, name: str) -> Path:
        """Where results of a chunk are."""
        return self.root / job / "results" / name

    def work(self, job: str, number: int) -> Path:
        """Where it says how far a chunk is."""
        return self.root / job / "work" / str(number)

    def under_way(self, job: str) -> list[int]:
        """Chunks of which it says how far they are."""
        names = (path.name for path in (self.root / job / "work").glob("*"))
        return sorted(int(name) for name in names if name.isdecimal())

    def tidy(self, job: str, kept: Iterable[str]) -> None:
        """Of a job that has ended, keep those results alone that count."""
        names = set(kept)
        self.input(job).unlink(missing_ok=True)
        shutil.rmtree(self.root / job / "work", ignore_errors=True)
        for path in (self.root / job / "results").glob("*"):
            if path.name not in names:
                path.unlink(missing_ok=True)

    def remove(self, job: str) -> None:
        """Remove all files of a job."""
        shutil.rmtree(self.root / job, ignore_errors=True)

    def abandoned(self, known: set[str]) -> list[str]:
        """Folders of no job, so old that no upload is still coming into them."""
        oldest = time.time() - ABANDONED
        return [
            path.name
            for path in self.root.iterdir()
            if path.is_dir() and path.name not in known and path.stat().st_mtime < oldest
        ]


def write(path: Path, data: bytes, replaces: bool = True) -> None:
    """Have a file on the disk with this content, as a whole or not at all.

    Args:
        path: where.
        data: the content.
        replaces: whether a file that is there already gives way; else it stays.
    """
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with new.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if replaces:
        new.replace(path)
    else:
        try:
            os.link(new, path)
        except FileExistsError:
            pass
        finally:
            new.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
