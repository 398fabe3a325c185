"""The benchmark of inference runs from end to end, and compares what a user gets."""

import sys
from importlib.util import find_spec

import pytest

from app.atoms.neighbors import build_graphs
from app.atoms.structure import Structure
from benchmarks import inference
from benchmarks.sizes import environment
from benchmarks.worker import started
from tests.benchmarks.sleeping_peer import SECONDS

TINY = ["--l-max", "0", "--layers", "1", "--scalars", "4", "--tensors", "2", "--cutoff", "4"]
SHORT = ["--rounds", "1", "--seconds", "0.001", "--aspirins", "2", "--silicon", "1"]
KERNEL = find_spec("equipot_kernel") is not None


@pytest.mark.slow
def test_what_a_user_gets_stands_first_and_is_compared_with_the_kernel(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment(True).items():
        monkeypatch.setenv(name, value)
    inference.main([*TINY, *SHORT, "--threads", "2", "--processor-time"])
    shown = capsys.readouterr().out
    assert "cpu, 2 thread(s), float32, 1 rounds, processor time" in shown
    rows = [line.strip("| ").split(" | ") for line in shown.splitlines() if line.startswith("| ")]
    ways = ["onnx", "kernel"] if KERNEL else ["onnx"]
    names = [
        *(f"{way} end to end" for way in ways),
        *("graph", "eager", *ways, *(f"{way} energies" for way in ways)),
    ]
    systems = ("2 aspirins", "42"), ("8-atom silicon", "8")
    assert [(row[0], row[1], row[3]) for row in rows[1:]] == [
        (*system, f"equipot {name}") for system in systems for name in names
    ]
    assert all(float(row[4]) > 0 for row in rows[1:])
    equal = {f"equipot {name}" for name in (ways[-1], f"{ways[-1]} end to end", "graph")}
    assert {row[3] for row in rows[1:] if row[-1] == "1"} >= equal
    assert ("equipot kernel: BackendError" in shown) is not KERNEL


def test_a_row_is_compared_with_one_of_its_kind() -> None:
    assert inference.base_of("nequip-allegro graph", "onnx") == ("equipot graph",)
    assert inference.base_of("nequip-allegro compiled end to end", "onnx graphs") == (
        "equipot kernel end to end",
        "equipot onnx end to end",
    )
    assert inference.base_of("nequip-allegro compiled", "onnx graphs") == (
        "equipot kernel",
        "equipot onnx graphs",
    )


def test_a_peer_measures_by_the_clock_that_is_asked_for() -> None:
    pair = Structure([1, 1], [[0.0, 0, 0], [0, 0, 0.8]])
    graphs = {"one": build_graphs([pair], 4.0)}
    with started(sys.executable, "tests.benchmarks.sleeping_peer", []) as worker:
        wall, processor = (
            inference.Peer(worker, graphs, clock).measure("one", "compiled", 3)
            for clock in ("wall", "processor")
        )
    assert wall >= 1000 * SECONDS
    assert processor < wall / 2
