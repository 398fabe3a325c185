"""Very short measurements of the pair model, the service's in a real server process."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.bench import report
from app.cli.main import main
from app.machine import cores
from tests.paths import ROOT

PAGE = (ROOT / "docs" / "sizing.md").read_text()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOT_CACHE", str(tmp_path / "cache"))


def bench(store: Path, *arguments: object) -> int:
    return main(
        ["bench", "pairs", "--model-store", str(store), "--threads", "1", *map(str, arguments)]
    )


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, (int, float)):
        yield value


def keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


def test_all_parts_are_measured_and_written(
    pair_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench.json"
    assert (
        bench(pair_store, "--seconds", 0.05, "--clients", 1, 3, "--in-flight", 4, "--json", out)
        == 0
    )
    results = json.loads(out.read_text())
    assert all(math.isfinite(number) for number in numbers(results))
    assert all(f"`{key}`" in PAGE for key in keys(results))
    assert results["model"]["reference"] == "pairs@2"
    assert {"processor", "device", "threads", "runtime"} == set(results["machine"])
    assert {"atoms", "edges", "structures", "seconds", "source"} == set(results["budget"])
    assert [part["sample"] for part in results["backend"]] == [
        "aspirin, 21 atoms",
        "crystal, 64 atoms",
    ]
    assert all(part["best"] in part["batches"] for part in results["backend"])
    assert results["relax"]["relaxations"] >= 4
    assert 0 < results["relax"]["backend_share"] < 1
    assert [load["clients"] for load in results["service"]["loads"]] == [1, 3]
    assert all(
        load["rate"] > 0 and load["p50"] <= load["p90"] <= load["p99"]
        for load in results["service"]["loads"]
    )
    assert results["service"]["ready_after"] > 0
    assert results["service"]["processes"] == 1
    for load in results["service"]["loads"]:
        assert load["client_cpu_ms"] > 0
        taken = load["rate"] * load["client_cpu_ms"] / 1000 / cores()
        assert load["share_without_clients"] == pytest.approx(load["share"] / (1 - taken))
    text = capsys.readouterr().out
    assert "aspirin, 21 atoms" in text
    assert "A MILLION OF" in text


def test_a_service_of_several_processes(
    pair_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench.json"
    options = ["--only", "service", "--processes", 2, "--seconds", 0.05, "--clients", 2]
    assert bench(pair_store, *options, "--json", out) == 0
    part = json.loads(out.read_text())["service"]
    assert part["processes"] == 2
    (load,) = part["loads"]
    assert load["rate"] > 0
    assert load["share"] is load["share_without_clients"] is None
    assert "2 processes, ready after" in capsys.readouterr().out


def test_own_structures(
    pair_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "own.xyz", tmp_path / "bench.json"
    file.write_text("2\n\nAr 0 0 0\nAr 0 0 3.9\n1\n\nNe 0 0 0\n")
    assert (
        bench(
            pair_store, "--seconds", 0.01, "--only", "backend", "--structures", file, "--json", out
        )
        == 0
    )
    results = json.loads(out.read_text())
    assert [part["sample"] for part in results["backend"]] == ["own.xyz, 1.5 atoms on average"]
    assert "relax" not in results
    file.write_text("1\n\nXe 0 0 0\n")
    assert bench(pair_store, "--structures", file) == 1
    assert "own.xyz: frame 0: " in capsys.readouterr().err


def test_a_plan_for_nodes_like_this_one() -> None:
    results = {
        "backend": [{"sample": "aspirin", "best": {"rate": 50.0}}],
        "plan": {"structures": 10**9, "nodes": 100},
    }
    text = report.sizing(results)
    assert "1,000,000,000 OF" in text
    assert "TAKES ON 100 NODES" in text
    assert text.splitlines()[1].split()[-3:] == ["5e+03", "2.31", "days"]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--seconds", 0),
        ("--clients", 0),
        ("--in-flight", 0),
        ("--plan", 0),
        ("--nodes", -1),
        ("--processes", 0),
    ],
)
def test_options_without_sense_are_refused(
    pair_store: Path, option: str, value: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(pair_store, option, value) == 2
    assert option in capsys.readouterr().err
