"""Processes are counted with those that they started, and those that have ended."""

import os
import subprocess
import sys

import pytest

from app.bench.processes import PROC, usage

pytestmark = pytest.mark.skipif(not PROC.is_dir(), reason="the system has no /proc")

WORK = """
import sys, time
held = b"x" * 40_000_000
while time.process_time() < 0.2: pass
print("worked", flush=True)
sys.stdin.readline()
"""
PARENT = f"""
import subprocess, sys
work = [sys.executable, "-c", {WORK!r}]
subprocess.run(work, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
subprocess.run(work, check=True)
"""


def test_a_process_is_counted_with_those_below_it() -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", PARENT], **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"worked\n"  # of the second one, while it is there
        of_it, of_us = usage(process.pid), usage(os.getpid())
        process.communicate(b"\n")
    assert of_it is not None
    assert of_us is not None
    assert of_it.cpu_seconds >= 0.38  # clock ticks are of 10 ms
    assert of_it.memory_mb > 40
    assert of_us.memory_mb > of_it.memory_mb


def test_of_a_process_that_is_not_there_nothing_is_said() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert usage(process.pid) is None
