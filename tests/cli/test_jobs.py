"""`equipot jobs` against a real service."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli.jobs import bar
from app.cli.main import main
from equipot import Job
from tests.api.server import Running, running

XYZ = "2\nid=%d\nAr 0 0 0\nAr 0 0 3.6\n"


@pytest.fixture(scope="module")
def service(pair_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that takes jobs."""
    with running(pair_store, jobs_folder=tmp_path_factory.mktemp("jobs")) as server:
        yield server


class Command:
    """Runs commands on a service."""

    def __init__(self, service: Running, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
        self._server = f"http://127.0.0.1:{service.port}"
        self._captured = capsysbinary
        self.errors = ""

    def __call__(self, *words: str, code: int = 0) -> str:
        """What `equipot jobs` prints."""
        assert main(["jobs", *words, "--server", self._server]) == code
        captured = self._captured.readouterr()
        self.errors = captured.err.decode()
        return captured.out.decode()


@pytest.fixture
def command(service: Running, capsysbinary: pytest.CaptureFixture[bytes]) -> Command:
    return Command(service, capsysbinary)


def test_from_files_to_results(command: Command, tmp_path: Path) -> None:
    file, found = tmp_path / "many.xyz", tmp_path / "found.xyz"
    file.write_text("".join(XYZ % number for number in range(300)))
    job = command("submit", str(file), "--fmax", "0.01", "--key", "once").strip()
    assert command("submit", str(file), "--fmax", "0.01", "--key", "once").strip() == job
    watched = command("show", job, "--watch").splitlines()
    assert watched[-1].split()[:7] == [job, "done", "pairs@2", "300", "300", "0", "0"]
    command("results", job, "--output", str(found))
    assert found.read_text().count("relaxed=T") == 300
    table = tmp_path / "found.csv.gz"
    command("results", job, "-o", str(table))
    assert len(gzip.decompress(table.read_bytes()).splitlines()) == 301
    command("results", job, "-o", str(tmp_path / "found.pdb"), code=2)
    assert "pdb cannot be written here; name it *.json, *.jsonl, " in command.errors
    lines = command("results", job, "--form", "json", "--offset", "290").splitlines()
    assert [r["id"] for line in lines for r in json.loads(line)["results"]] == [
        str(number) for number in range(290, 300)
    ]
    assert job in command("list")
    (listed,) = json.loads(command("list", "--limit", "1", "--json"))
    assert listed["id"] == job
    assert 'state: "done"' in command("show", job)
    assert json.loads(command("cancel", job, "--json"))["state"] == "done"


def test_files_of_other_formats_become_one_job(command: Command, tmp_path: Path) -> None:
    poscar = tmp_path / "POSCAR"
    poscar.write_text("argon\n1.0\n5 0 0\n0 5 0\n0 0 5\nAr\n1\nDirect\n0 0 0\n")
    xyz = tmp_path / "two.xyz"
    xyz.write_text(XYZ % 1 + XYZ % 2)
    job = json.loads(command("submit", str(poscar), str(xyz), "--model", "pairs@1", "--json"))
    assert (job["structures"], job["model"]["version"]) == (3, 1)
    results = command("results", job["id"], "--form", "json").splitlines()
    assert [r["id"] for line in results for r in json.loads(line)["results"]] == ["argon", "1", "2"]


def test_a_bad_line_of_smiles_is_an_error_of_its_own(command: Command, tmp_path: Path) -> None:
    smiles = tmp_path / "some.smi"
    smiles.write_text("C(C methane\nC |x|\n[Ar] argon\nAr\n")
    xyz = tmp_path / "one.xyz"
    xyz.write_text(XYZ % 1)
    for files, count in (([smiles], 4), ([smiles, xyz], 5)):
        job = json.loads(command("submit", *map(str, files), "--json"))
        assert job["structures"] == count
        command("show", job["id"], "--watch")
        lines = command("results", job["id"], "--form", "json").splitlines()
        results = [r for line in lines for r in json.loads(line)["results"]]
        assert len(results) == count
        told = [r["error"]["message"] for r in results[:2]]
        assert "extensions of CXSMILES are not read" in told[1]
        assert ["error" in r for r in results[4:]] == [False] * (count - 4)


def test_a_bad_record_costs_only_itself(command: Command, tmp_path: Path) -> None:
    sdf = tmp_path / "some.sdf"
    record = "{}\n\n\n  1  0  0  0  0  0  0  0  0  0999 V2000\n    0.0000    0.0000    0.0000 Ar  0  0\nM  END\n$$$$\n"
    sdf.write_bytes(
        (record.format("é") + "no molecule\n$$$$\n" + record.format("b")).encode("latin-1")
    )
    job = json.loads(command("submit", str(sdf), "--json"))
    command("show", job["id"], "--watch")
    lines = command("results", job["id"], "--form", "json").splitlines()
    latin, bad, fine = (r for line in lines for r in json.loads(line)["results"])
    assert (latin["id"], [w["code"] for w in latin["warnings"]]) == ("é", ["not_utf8"])
    assert bad["error"]["message"].startswith("molecule 1, line 8: no molfile")
    assert (fine["id"], "warnings" in fine) == ("b", False)


def test_a_body_is_sent_as_it_is(command: Command, tmp_path: Path) -> None:
    body: dict[str, Any] = {"symbols": ["Ar"], "positions": [[0, 0, 0]], "model": "pairs@1"}
    file = tmp_path / "body.json"
    file.write_text(json.dumps(body))
    job = json.loads(command("submit", str(file), "--json"))
    assert job["model"]["version"] == 1
    command("submit", str(file), "--relax", code=2)
    assert "says itself what is asked" in command.errors


def test_what_cannot_be_is_told_in_a_line(command: Command, tmp_path: Path) -> None:
    bad = tmp_path / "bad.sdf"
    bad.write_text("no molecule\n")
    good = tmp_path / "good.xyz"
    good.write_text(XYZ % 1)
    for words, message in (
        (("submit", str(bad)), "invalid_format"),
        (("submit", str(tmp_path / "none.xyz")), "none.xyz"),
        (("submit", str(good), "--model", "none"), "unknown_model"),
        (("submit", str(good), "--webhook", "http://127.0.0.1/"), "webhook"),
        (("show", "none"), "unknown_job"),
        (("results", "none"), "unknown_job"),
    ):
        command(*words, code=1)
        assert message in command.errors
        assert len(command.errors.splitlines()) == 1
    assert main(["jobs"]) == 2
    assert main(["jobs", "list", "--server", "http://127.0.0.1:1"]) == 1
    assert main(["jobs", "list", "--server", "nowhere"]) == 2


def test_results_that_do_not_come_leave_the_file_that_is_there(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "found.xyz").write_text("precious")
    command("results", "none", "--form", "xyz", "-o", str(tmp_path / "found.xyz"), code=1)
    assert "unknown_job" in command.errors
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [
        ("found.xyz", "precious")
    ]


def test_a_task_as_a_job(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "some.xyz"
    file.write_text("".join(XYZ % number for number in range(3)))
    asked = ("--task", "scan", "--option", "atoms=0,1", "--option", "range_A=3.5,4.5")
    job = command("submit", str(file), *asked, "--option", "points=3").strip()
    command("show", job, "--watch")
    assert 'task: "scan"' in command("show", job)
    found = [json.loads(line) for line in command("results", job).splitlines()]
    values = [line["value"] for line in found if line["status"] == "ok"]
    assert [len(value["energies_eV"]) for value in values] == [3, 3, 3]


def test_a_body_of_a_task(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "body.json"
    structure = {"symbols": ["Ar", "Ar"], "positions": [[0, 0, 0], [0, 0, 3.8]]}
    file.write_text(json.dumps({"structures": [structure], "options": {"temperature_K": 90}}))
    job = command("submit", str(file), "--task", "thermo").strip()
    command("show", job, "--watch")
    (found,) = json.loads(command("results", job, "--form", "json"))["results"]
    assert found["value"]["temperature_K"] == 90
    command("submit", str(file), "--task", "thermo", "--option", "temperature_K=90", code=2)
    assert "says itself what is asked" in command.errors


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--option", "points=3"), "--option: is of a task"),
        (("--task", "eos", "--option", "points"), "expected NAME=VALUE"),
        (("--task", "eos", "--option", "points=2"), "points: Input should be greater"),
        (("--task", "eos", "--relax"), "--relax and its options: of predictions"),
        (("--task", "eos", "--properties", "energy"), "--properties: of predictions"),
    ],
)
def test_options_of_tasks_are_checked(
    command: Command, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    file = tmp_path / "one.xyz"
    file.write_text(XYZ % 0)
    command("submit", str(file), *words, code=2)
    assert told in command.errors


def test_a_bar_counts_what_a_task_has_done_of_structures() -> None:
    job = Job.of(
        {
            **{"id": "a", "state": "running", "structures": 4, "done": 1, "failed": 1, "left": 2},
            **{"rate": 0.5, "eta_seconds": 90.0, "started": None, "ended": None},
            **{
                "model": {"name": "pairs", "version": 2, "digest": ""},
                "estimate": {"seconds": None},
                "created": "2026-01-01T00:00:00Z",
            },
            "under_way": [{"structure": 2, "stage": "images", "done": 30, "total": 60}],
        }
    )
    told = "running, 2 of 4 structures, 1 failed, 1:30 left, structure 2: images 30 of 60"
    assert bar(job) == f"[{'#' * 15}{'-' * 9}]  62 %  {told}"
