"""Screens on a cluster: the same results as without one, each once, whatever ends meanwhile."""

import gzip
import os
import signal
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

from app.cli.main import main
from app.cluster.connection import cluster
from app.cluster.folder import ScreenFolder
from app.cluster.portions import Portions
from app.cluster.screen import Screen
from app.cluster.shipping import PackedModel
from app.cluster.worker import Assignment
from app.cluster.workers import Resources
from app.places.folder import LocalFolder
from app.protocol.intake import Drawing
from app.protocol.request import PredictRequest
from app.protocol.tally import Tally
from app.relax import RelaxOptions
from app.settings import Settings
from app.store.store import ModelStore
from tests.store.remote_stores import s3_server

COUNT = 400
RECORD = "_run.unfinished.json"


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clusters of argon, one of an element that the model does not know."""
    path = tmp_path_factory.mktemp("given") / "argon.xyz"
    random = np.random.default_rng(1)
    grid = 3.8 * np.array(list(np.ndindex(3, 3, 2)), float)
    frames = [
        Atoms("Ar18", grid + random.normal(0, 0.2, grid.shape), info={"id": f"m{i}"})
        for i in range(COUNT)
    ]
    frames[4] = Atoms("Xe", info={"id": "m4"})
    ase.io.write(path, frames, format="extxyz", columns=["symbols", "positions"])
    return path


def frames_of(folder: Path) -> list[Atoms]:
    """All results, in the order of their files."""
    files = sorted(folder.glob("part-*.xyz"))
    return [atoms for file in files for atoms in ase.io.read(file, ":", format="extxyz")]


def ids_of(folder: Path) -> list[str]:
    return [atoms.info["id"] for atoms in frames_of(folder)]


def test_a_screen_is_what_one_process_answers(
    address: str, given: Path, pair_store: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    """And what is left of a run that was stopped is done, and nothing else."""
    shared = [str(given), "--model", "pairs", "--model-store", str(pair_store)]
    whole, folder = tmp_path / "whole.xyz", tmp_path / "folder"
    assert main(["predict", *shared, "-o", str(whole)]) == 1
    cluster_options = ["--ray", address, "--portion", "64", "--workers", "2", "-o", str(folder)]
    with monkeypatch.context() as patched:  # as if it had been stopped before its end
        patched.setattr("app.cli.predict.cluster.forget", lambda _: None)
        assert main(["predict", *shared, *cluster_options]) == 1
    said = capsys.readouterr().err
    assert f"{COUNT - 1} of {COUNT} structures answered with pairs@2" in said
    assert "refused: unsupported_element 1" in said
    here, there = ase.io.read(whole, ":"), frames_of(folder)
    assert ids_of(folder) == [f"m{i}" for i in range(COUNT)]
    assert there[4].info["code"] == "unsupported_element"
    for one, other in zip(here[5:], there[5:], strict=True):
        assert one.get_potential_energy() == pytest.approx(other.get_potential_energy(), abs=1e-9)
        np.testing.assert_allclose(one.get_forces(), other.get_forces(), atol=1e-9)
    (folder / "part-0000002.xyz").unlink()
    changed = ["predict", *shared, *cluster_options[:2], "--portion", "32", "--resume"]
    assert main([*changed, "-o", str(folder)]) == 2
    assert "was begun otherwise: portion was 64, is 32" in capsys.readouterr().err
    assert main(["predict", *shared, *cluster_options, "--resume"]) == 1
    assert f"{COUNT - 64} were there before" in capsys.readouterr().err
    assert ids_of(folder) == [f"m{i}" for i in range(COUNT)]
    assert not (folder / RECORD).exists()

    table = tmp_path / "table"
    asked = ["--ray", address, "--to", "parquet", "--workers", "1", "-o", str(table)]
    assert main(["predict", *shared, *asked]) == 1
    rows = pytest.importorskip("pyarrow.parquet").read_table(table).to_pylist()
    assert [row["id"] for row in rows] == [f"m{i}" for i in range(COUNT)]
    assert rows[4]["error"].startswith("unsupported_element: ")

    assert main(["predict", *shared, *cluster_options]) == 2
    assert "holds files already; go on with --resume" in capsys.readouterr().err
    assert main(["predict", *shared, *cluster_options, "--resume"]) == 2
    assert "is not there or cannot be read" in capsys.readouterr().err


def test_a_worker_that_is_killed_costs_nothing(
    address: str, given: Path, pair_store: Path, tmp_path: Path
) -> None:
    """Nor does what a process that was killed left half-written; nothing is answered twice."""
    packed = PackedModel.of(ModelStore(pair_store).load("pairs"))
    request = PredictRequest(entries=[], relax=RelaxOptions(fmax=0.001, steps=200))
    settings = Settings(model_store=pair_store, threads=1)
    assignment = Assignment(packed, request, Drawing(), "xyz", settings)
    path, said = tmp_path / "out", list[str]()
    folder = ScreenFolder(LocalFolder(path), ".xyz")
    folder.open()
    with cluster(address), Portions([str(given)], size=20) as portions:
        screen = Screen(assignment, folder, Resources(2), said.append)
        killed, count = 0, Tally()
        for progress in screen.run(iter(portions), lambda: count.structures > COUNT // 2):
            count.merge(progress.tally or Tally())
            if count.structures and not killed:
                killed = screen.workers[0].process
                os.kill(killed, signal.SIGKILL)
        assert said == ["a worker has ended; what it had goes to another one"]
        half = path / "part-0000019.xyz.unfinished"
        half.write_bytes(b"18\nhalf")
        with (path / "_parts-0000.jsonl").open("a") as ledger:
            ledger.write('{"part": 19, "struc')
        before = {file.name: file.stat().st_mtime_ns for file in path.glob("part-*.xyz")}
        assert 0 < len(before) < COUNT // 20
        again = ScreenFolder(LocalFolder(path), ".xyz")
        tally = again.open()
        assert tally.structures == count.structures
        assert not half.exists()
        screen = Screen(assignment, again, Resources(2), said.append)
        for progress in screen.run(iter(portions), lambda: False):
            count.merge(progress.tally or Tally())
    assert count.structures == COUNT
    assert ids_of(path) == [f"m{i}" for i in range(COUNT)]
    after = {file.name: file.stat().st_mtime_ns for file in path.glob("part-*.xyz")}
    assert before.items() <= after.items()


def test_a_library_in_a_bucket_is_answered_into_the_bucket(
    address: str, given: Path, pair_store: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    """The same answers as from files; what is left of a run that was stopped is done."""
    shared = ["--model", "pairs", "--model-store", str(pair_store)]
    whole = tmp_path / "whole.xyz"
    assert main(["predict", str(given), *shared, "-o", str(whole)]) == 1
    with s3_server() as url:
        import fsspec

        system = fsspec.filesystem("s3")
        system.put_file(str(given), "bucket/library/a.xyz")
        system.pipe_file("bucket/library/b.xyz.gz", gzip.compress(given.read_bytes()))
        asked = [url.replace("models", "library/*"), *shared, "-o", "s3://bucket/results"]
        cluster_options = ["--ray", address, "--portion", "64", "--workers", "1"]
        with monkeypatch.context() as patched:  # as if it had been stopped before its end
            patched.setattr("app.cli.predict.cluster.forget", lambda _: None)
            assert main(["predict", *asked, *cluster_options]) == 1
        assert f"{2 * COUNT - 2} of {2 * COUNT} structures" in capsys.readouterr().err
        system.rm_file("bucket/results/part-0000008.xyz")
        assert main(["predict", *asked, *cluster_options]) == 2
        assert "s3://bucket/results: holds files already" in capsys.readouterr().err
        assert main(["predict", *asked, *cluster_options, "--resume"]) == 1
        assert f"{2 * COUNT - 64} were there before" in capsys.readouterr().err
        assert not system.exists(f"bucket/results/{RECORD}")
        system.get("bucket/results/", str(tmp_path / "copied"), recursive=True)
        assert main(["predict", *asked[:-1], "s3://none/results", *cluster_options]) == 3
        assert "s3://none/results cannot be written" in capsys.readouterr().err
    there = frames_of(tmp_path / "copied")
    assert [atoms.info["id"] for atoms in there] == 2 * [f"m{i}" for i in range(COUNT)]
    for one, other in zip(2 * ase.io.read(whole, ":"), there, strict=True):
        if "code" not in other.info:
            assert one.get_potential_energy() == pytest.approx(
                other.get_potential_energy(), abs=1e-9
            )


def test_what_cannot_be_meant_is_refused(given: Path, pair_store: Path, tmp_path, capsys) -> None:
    """Before a cluster is asked for anything."""
    shared = ["predict", str(given), "--model", "pairs", "--model-store", str(pair_store)]
    output = ["-o", str(tmp_path / "out")]
    for options, told in (
        ([*output, "--portion", "2"], "say --ray as well"),
        (["--ray", "local"], "say --output, a folder"),
        ([*output, "--ray", "local", "--workers", "0"], "a positive number is expected"),
        ([*output, "--ray", "local", "--server", "http://x"], "state one"),
        (
            ["-o", "s3://name:word@bucket/out"],
            "--output s3://bucket/out: URLs are read and written",
        ),
    ):
        assert main([*shared, *options]) in (2, 3), options
        assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_done_is_refused_before_a_cluster_is_asked(
    given: Path, pair_store: Path, tmp_path, capsys
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    shared = ["predict", str(given), "--model", "pairs", "--model-store", str(pair_store)]
    output = ["-o", str(tmp_path / "out")]
    for options, told in (
        ([*output, "--ray", "nowhere"], "is no address"),
        ([*output, "--ray", "local", "--to", "poscar"], "holds one structure"),
        (["-o", "http://127.0.0.1:9/out", "--ray", "local"], "can be read by http, not written"),
        (["-o", "memory://out.columns", "--ray", "local"], "is written to a disk"),
    ):
        assert main([*shared, *options]) in (2, 3), options
        assert told in capsys.readouterr().err
    for ray, told in (
        ([], "URLs are read and written by predict and relax with --ray"),
        (["--ray", "local"], "memory://none/*.xyz: no file matches"),
    ):
        assert main(["predict", "memory://none/*.xyz", *output, *ray]) in (2, 3)
        assert told in capsys.readouterr().err
    assert main([*shared, *output, "--ray", "127.0.0.1:9"]) == 3
    assert "no cluster answers there" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
