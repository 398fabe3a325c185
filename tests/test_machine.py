"""The machine, from files of Linux that are written here."""

import os
import resource
from pathlib import Path

import pytest

from app import machine

KILOBYTES = "MemTotal:       16000000 kB\nMemAvailable:    8000000 kB\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the system's, with nothing in it yet."""
    monkeypatch.setattr(machine, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(machine, "MEMORY_INFO", tmp_path / "meminfo")
    monkeypatch.setattr(machine, "STATUS", tmp_path / "status")
    monkeypatch.setattr(machine, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(machine, "CONTROL_GROUPS", tmp_path / "groups")
    return tmp_path


def test_the_processor_is_named_with_the_cores_that_may_be_used(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (files / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Best: 3 GHz\nmodel name\t: 2nd\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 7}, raising=False)
    assert machine.machine() == "Best: 3 GHz, 3 cores"
    assert machine.worker_threads(0) == 3
    assert machine.worker_threads(2) == 2


def test_a_processor_without_a_name_has_its_kind(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert machine.processor() == "riscv64"


def test_free_memory_is_what_the_system_has_left(files: Path) -> None:
    assert machine.free_memory() == machine.UNKNOWN_MEMORY
    (files / "meminfo").write_text(KILOBYTES)
    assert machine.free_memory() == 8_000_000 * 1024


def group(folder: Path, version: int, limit: str, used: int, **counters: int) -> None:
    """A control group with a limit."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        2: ("memory.max", "memory.current"),
    }
    for name, value in zip(names[version], (limit, used), strict=True):
        (folder / name).write_text(f"{value}\n")
    lines = [f"{name} {value}\n" for name, value in counters.items()]
    (folder / "memory.stat").write_text("".join(lines))


UNLIMITED = {1: str(2**63 - 4096), 2: "max"}
ROOT = {1: "groups/memory", 2: "groups"}
LINE = {1: "7:cpu,cpuacct:/\n4:memory:{}\n0::/\n", 2: "0::{}\n"}


@pytest.mark.parametrize("version", [1, 2])
class TestControlGroups:
    """Of both versions, with as many around the process's own as there are."""

    @pytest.mark.parametrize(
        ("limit", "used", "free"),
        [("", 5, 8_000_000 * 1024), ("1000000", 400_000, 600_000), ("1000", 2000, 0)],
    )
    def test_a_container_may_have_less(
        self, files: Path, version: int, limit: str, used: int, free: int
    ) -> None:
        (files / "meminfo").write_text(KILOBYTES)
        group(files / ROOT[version], version, limit or UNLIMITED[version], used)
        assert machine.free_memory() == free
        (files / "own").write_text(LINE[version].format("/"))
        assert machine.free_memory() == free

    def test_the_tightest_of_all_around_counts(self, files: Path, version: int) -> None:
        root = files / ROOT[version]
        group(root, version, UNLIMITED[version], 9_000_000)
        group(root / "a", version, "2000000", 1_700_000)
        group(root / "a/b", version, "1000000", 500_000)
        (files / "own").write_text(LINE[version].format("/a/b"))
        assert machine.free_memory() == 300_000
        group(root / "a", version, "5000000", 1_700_000)
        assert machine.free_memory() == 500_000
        (files / "own").write_text(LINE[version].format("/a"))
        assert machine.free_memory() == 3_300_000

    @pytest.mark.parametrize("path", ["/docker/0123", "/../../sibling"])
    def test_the_path_of_the_host_is_not_there_in_a_container(
        self, files: Path, version: int, path: str
    ) -> None:
        group(files / ROOT[version], version, "1000000", 400_000)
        (files / "own").write_text(LINE[version].format(path))
        assert machine.free_memory() == 600_000

    def test_pages_of_files_that_nothing_uses_are_free(self, files: Path, version: int) -> None:
        counter = {1: "total_inactive_file", 2: "inactive_file"}[version]
        group(files / ROOT[version], version, "1000000", 900_000, **{counter: 300_000})
        assert machine.free_memory() == 400_000


def test_a_limit_of_a_group_that_cannot_be_seen(files: Path) -> None:
    counters = {"hierarchical_memory_limit": 700_000}
    group(files / ROOT[1], 1, UNLIMITED[1], 400_000, **counters)
    assert machine.free_memory() == 300_000


@pytest.mark.parametrize(
    ("limit", "name"), [(resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")]
)
def test_a_limit_of_the_process_itself(
    files: Path, monkeypatch: pytest.MonkeyPatch, limit: int, name: str
) -> None:
    (files / "status").write_text(f"{name}:\t     400 kB\n")
    monkeypatch.setattr(
        resource, "getrlimit", lambda which: (500 * 1024 if which == limit else -1, -1)
    )
    assert machine.free_memory() == 100 * 1024


def test_this_machine_says_something_sensible() -> None:
    assert machine.processor()
    assert 0 < machine.free_memory() < 2**50


def test_the_peak_never_falls() -> None:
    before = machine.peak_memory()
    assert before > 2**20
    assert machine.peak_memory() >= before
