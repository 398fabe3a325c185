"""The machine: device, threads and allocator."""

import platform
import sys

import pytest
import torch

from app.training.loop import hardware
from tests.training.labelled import tiny_config


def test_threads_and_device_are_set():
    assert hardware.set_up(tiny_config(threads=2)) == torch.device("cpu")
    assert torch.get_num_threads() == 2
    assert torch.are_deterministic_algorithms_enabled()


def test_determinism_can_be_left_out():
    hardware.set_up(tiny_config(deterministic=False))
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc")
def test_glibc_takes_the_settings():
    assert hardware.keep_freed_memory()


def test_elsewhere_the_allocator_is_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not hardware.keep_freed_memory()


def test_a_record_says_what_a_run_ran_on():
    record = hardware.describe(torch.device("cpu"))
    assert record["device"]
    assert record["torch"] == torch.__version__
