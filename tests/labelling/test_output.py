"""The files of a labelling run, whatever a killed one left."""

from pathlib import Path

from ase import Atoms
from ase.io import write

from app.labelling.output import failures_path, label_output, run_path
from tests.labelling.frames import argon


def test_half_written_records_are_cut(tmp_path: Path) -> None:
    path, listed = tmp_path / "out.xyz", b'{"frame": 2}\n{"frame": 4}\n'
    for atoms in (Atoms(), argon(0), argon(1)):
        write(path, atoms, append=True)
    run_path(path).write_text("{}")
    frames = path.read_bytes()
    second = frames.index(b"3\n")
    third = frames.index(b"\n3\n", second) + 1
    ends = [0, second, third, len(frames)]
    for size in range(len(frames) + 1):
        path.write_bytes(frames[:size])
        failures_path(path).write_bytes(listed[: min(size, len(listed))])
        with label_output(path, {}) as output:
            whole = max(index for index, end in enumerate(ends) if end <= size)
            assert (output.labelled, output.failed) == (whole, listed[:size].count(b"\n"))
            output.add(b"end")
        assert path.read_bytes() == frames[: ends[whole]] + b"end"
