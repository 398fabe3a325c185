"""The benchmark of a GPU runs from end to end without one, so that no time is lost once there is
one.
"""

import json

import pytest

from benchmarks.gpu import SECTIONS, main

TINY = [
    "--l-max",
    "0",
    "--layers",
    "1",
    "--scalars",
    "4",
    "--tensors",
    "2",
    "--cutoff",
    "4",
    "--threads",
    "1",
]


@pytest.mark.slow
def test_every_section_measures_something_on_the_cpu(tmp_path, capsys):
    path = tmp_path / "gpu.json"
    assert main(["--device", "cpu", "--quick", "--json", str(path), *TINY]) == 0
    found = json.loads(path.read_text())["sections"]
    assert tuple(found) == SECTIONS
    shown = capsys.readouterr().out
    for name, section in found.items():
        assert section["rows"], section["missing"]
        assert f"## {name}\n" in shown
    lacking = [what.partition(":")[0] for name in SECTIONS[1:] for what in found[name]["missing"]]
    lacking = [what for what in lacking if not what.startswith("TorchSim")]
    assert lacking == [
        "eager, tf32",
        "nequip-allegro compiled",
        "allegro, tf32",
        "equiformer, tf32",
    ]
    assert all(row["within"] for row in found["certificate"]["rows"])


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_gpu_that_is_not_used_is_a_failure_with_its_reason(tmp_path, capsys):
    assert main(["--device", "cuda:7", "--quick", "--only", "environment", "certificate"]) == 1
    shown = capsys.readouterr().out
    assert "## environment: FAILED" in shown
    assert (
        "NOT MEASURED: a session on cuda:7: BackendError: device 'cuda:7' needs CUDAExecutionProvider"
        in shown
    )
    assert "NOT MEASURED: execution graphs: BackendError" in shown
