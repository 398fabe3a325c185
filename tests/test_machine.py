"""The machine, from files of Linux that are written here."""

import os
from pathlib import Path

import pytest

from app import machine

KILOBYTES = "MemTotal:       16000000 kB\nMemAvailable:    8000000 kB\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the system's, with nothing in it yet."""
    monkeypatch.setattr(machine, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(machine, "MEMORY_INFO", tmp_path / "meminfo")
    monkeypatch.setattr(machine, "CONTROL_GROUP", tmp_path)
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


@pytest.mark.parametrize(
    ("limit", "used", "free"),
    [("max", 5, 8_000_000 * 1024), ("1000000", 400_000, 600_000), ("1000", 2000, 0)],
)
def test_a_container_may_have_less(files: Path, limit: str, used: int, free: int) -> None:
    (files / "meminfo").write_text(KILOBYTES)
    (files / "memory.max").write_text(f"{limit}\n")
    (files / "memory.current").write_text(f"{used}\n")
    assert machine.free_memory() == free


def test_this_machine_says_something_sensible() -> None:
    assert machine.processor()
    assert 0 < machine.free_memory() < 2**50


def test_the_peak_never_falls() -> None:
    before = machine.peak_memory()
    assert before > 2**20
    assert machine.peak_memory() >= before
