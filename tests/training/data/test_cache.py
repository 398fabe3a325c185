"""The cache of neighbour lists: the same numbers as without it, and never a stale or damaged one."""

import json
import os
import resource
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from app.errors import InvalidConfig, TrainingError
from app.training.data import cache
from app.training.data.arrays import Memory, flatten
from app.training.data.config import Source
from app.training.data.load import Finder, load_dataset
from app.training.loop.display import Display
from app.training.run import train_model
from app.training.runs.folder import RunFolder
from tests.training.data.deepmd import write_deepmd
from tests.training.labelled import crystals, molecules, tiny_config, write
from tests.training.limited_memory import epoch_sum

MEBIBYTES = 64
"""Of memory, beside the libraries: less than the data set takes, and more than its cache does."""
FRAMES = [*molecules(9, sizes=(1, 2, 5)), *crystals(2)]


@pytest.fixture
def data(tmp_path):
    write(tmp_path / "a.xyz", FRAMES)
    return tmp_path


def load(data, cutoff=4.5, dtype="float64", **keys):
    return load_dataset(
        [Source(path="a.xyz", **keys)], Finder(data, cache=data / "cache"), cutoff, dtype
    )


def entries(data):
    return sorted(path for path in (data / "cache").iterdir() if path.is_dir())


def same(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert (a.energy, a.origin, a.info) == (b.energy, b.origin, b.info)
        np.testing.assert_array_equal(a.structure.positions, b.structure.positions)
        np.testing.assert_array_equal(a.forces, b.forces)
        np.testing.assert_array_equal(a.stress, b.stress)
    for name in ("edge_vectors", "neighbors", "reverse", "degree"):
        np.testing.assert_array_equal(getattr(found.arrays, name), getattr(expected.arrays, name))


def test_the_cache_holds_what_is_read(data):
    expected = load_dataset([Source(path="a.xyz")], Finder(data), 4.5, "float64")
    same(load(data), expected)
    same(load(data), expected)
    assert len(entries(data)) == 1


def test_a_second_run_does_not_read_the_file_again(data):
    load(data)
    path = data / "a.xyz"
    then, size = path.stat().st_mtime_ns, path.stat().st_size
    path.write_text("x" * size)
    os.utime(path, ns=(then, then))
    assert len(load(data, weight=2.0)) == 11
    assert set(load(data, weight=2.0).weight) == {2.0}


@pytest.mark.parametrize(
    "keys", [{"cutoff": 4.0}, {"dtype": "float32"}, {"index": ":5"}, {"units": {"energy": "meV"}}]
)
def test_what_changes_the_arrays_has_an_entry_of_its_own(data, keys):
    load(data)
    load(data, **keys)
    assert len(entries(data)) == 2


def test_a_changed_file_is_read_again_and_that_is_said(data, caplog):
    load(data)
    write(data / "a.xyz", FRAMES[:4])
    assert len(load(data)) == 4
    assert (
        "a.xyz has changed since it was cached; its neighbour lists are made again" in caplog.text
    )
    assert len(entries(data)) == 1


def flip(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def one_type_for_another(path):
    path.write_bytes(path.read_bytes().replace(b"<i4", b"<u4", 1))


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("edge_vectors.npy", flip),
        ("edge_vectors.npy", lambda path: os.truncate(path, path.stat().st_size - 8)),
        ("degree.npy", one_type_for_another),
        ("info.npy", lambda path: path.unlink()),
        ("manifest.json", lambda path: path.write_text(json.dumps({"sources": []}))),
    ],
)
def test_a_damaged_entry_is_made_again_and_that_is_said(data, caplog, file, change):
    expected = load_dataset([Source(path="a.xyz")], Finder(data), 4.5, "float64")
    load(data)
    change(entries(data)[0] / file)
    same(load(data), expected)
    assert "is damaged" in caplog.text
    caplog.clear()
    load(data)
    assert not caplog.text


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from app.training.data import cache

def build(sink):
    sink.add(np.load(sys.argv[2]))
    os.kill(os.getpid(), signal.SIGKILL)

cache.open_or_build(Path(sys.argv[1]), "wanted", {}, build)
"""
PART = flatten(FRAMES, [0] * len(FRAMES), 4.5, "float64")


def test_what_a_killed_process_leaves_is_not_taken_for_whole(tmp_path):
    np.savez(tmp_path / "part.npz", **PART)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(tmp_path / "part.npz")], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert [path.suffix for path in tmp_path.iterdir() if path.is_dir()] == [".new"]
    found = cache.open_or_build(
        tmp_path, "wanted", {}, lambda sink: [sink.add(PART), sink.add(PART)]
    )
    assert len(found.energy) == 2 * len(FRAMES)
    assert [path.suffix for path in tmp_path.iterdir() if path.is_dir()] == [""]


def test_who_comes_second_waits_and_takes_what_the_first_has_made(tmp_path, caplog):
    building, waiting, found = threading.Event(), threading.Event(), []

    def build(sink):
        building.set()
        assert waiting.wait(60)
        sink.add(PART)

    def second():
        assert building.wait(60)
        found.append(
            cache.open_or_build(tmp_path, "wanted", {}, lambda _: pytest.fail("made twice"))
        )

    caplog.handler.addFilter(lambda record: waiting.set() or True)
    other = threading.Thread(target=second)
    other.start()
    first = cache.open_or_build(tmp_path, "wanted", {}, build)
    other.join(60)
    assert "waiting for it" in caplog.text
    np.testing.assert_array_equal(found[0].edge_vectors, first.edge_vectors)


def test_a_full_disk_is_named_and_nothing_is_left(data):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(
            TrainingError, match=r"the cache .* cannot be written: .*File too large; make room"
        ):
            load(data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not entries(data)
    assert len(load(data)) == 11


def test_a_cache_that_cannot_be_made_is_named(data):
    (data / "cache").write_text("a file")
    with pytest.raises(InvalidConfig, match=r"--data-cache .*cache: File exists"):
        load(data)


def test_parts_are_joined_as_in_memory(tmp_path):
    memory = Memory()
    for part in (PART, PART):
        memory.add(part)
    found = cache.open_or_build(tmp_path, "", {}, lambda sink: [sink.add(PART), sink.add(PART)])
    for name in PART:
        np.testing.assert_array_equal(getattr(found, name), getattr(memory.arrays(), name))


def test_training_from_the_cache_gives_the_same_bits(tmp_path):
    write(tmp_path / "train.xyz", molecules(24))
    curves = []
    for name, folder in (("plain", None), ("first", "cache"), ("second", "cache")):
        find = Finder(tmp_path, cache=folder and tmp_path / folder)
        display = Display(1)
        try:
            train_model(tiny_config(epochs=1), RunFolder(tmp_path / name), find, display)
        finally:
            display.close()
        curves.append((tmp_path / name / "weights.safetensors").read_bytes())
    assert curves[0] == curves[1] == curves[2]


@pytest.mark.skipif(sys.platform != "linux", reason="the limit counts as Linux does")
def test_data_larger_than_memory_is_batched_through_the_cache(tmp_path):
    random = np.random.default_rng(0)
    folder, count, atoms = tmp_path / "system", 2500, 40
    frame = molecules(1, sizes=[atoms])[0]
    write_deepmd(folder, [frame])
    positions = frame.structure.positions + random.normal(scale=0.02, size=(count, atoms, 3))
    np.save(folder / "set.000" / "coord.npy", positions.reshape(count, -1))
    np.save(folder / "set.000" / "energy.npy", random.normal(size=count))
    np.save(folder / "set.000" / "force.npy", random.normal(size=(count, 3 * atoms)))

    def limited(*arguments):
        command = [
            sys.executable,
            "-m",
            "tests.training.limited_memory",
            str(folder),
            str(MEBIBYTES),
            *map(str, arguments),
        ]
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # each would have memory of its own
        return subprocess.run(command, env=one_thread, capture_output=True, text=True, check=False)

    size, total = epoch_sum(folder, None)
    assert size > MEBIBYTES * 2**20
    assert "MemoryError" in limited().stderr
    cached = limited(tmp_path / "cache")
    assert cached.stdout == f"{total}\n", cached.stderr
