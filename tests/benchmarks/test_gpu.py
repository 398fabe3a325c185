"""The benchmark of a GPU runs from end to end without one, so that no time is lost once there is
one.
"""

import pytest

from benchmarks import gpu

SECTIONS = ("answers", "latency", "relaxation", "service", "training")


@pytest.mark.slow
def test_every_section_measures_something_on_the_cpu(capfd):
    assert gpu.main(["--device", "cpu", "--quick"]) == 0
    shown = capfd.readouterr().out
    for name in SECTIONS:
        _, _, section = shown.partition(f"## {name}\n")
        assert "status 0" in section.partition("## ")[0]
    for row in ("1 aspirin | 21", "fire | 2", "2 | equipot eager"):
        assert f"| {row} | " in shown
    assert "not measured" not in shown


def test_a_section_that_fails_is_named_and_does_not_end_the_others(monkeypatch, capfd):
    commands = {"broken": ["-c", "raise SystemExit(3)"], "sound": ["-c", "print('measured')"]}
    monkeypatch.setattr(gpu, "sections", lambda options: commands)
    assert gpu.main(["--device", "cpu"]) == 1
    shown = capfd.readouterr().out
    assert "status 3" in shown
    assert "measured" in shown
    assert shown.endswith("failed: broken\n")
