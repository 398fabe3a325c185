"""The benchmark of a screen runs from end to end."""

import pytest

from benchmarks import screen


@pytest.mark.slow
def test_every_way_is_measured(capfd: pytest.CaptureFixture[str]) -> None:
    screen.main(["--structures", "40", "--records", "10", "--threads", "1", "--seconds", "0.01"])
    shown = capfd.readouterr().out
    for row in ("backend alone", "job", "stream", "`equipot predict`, 10 records"):
        assert f"| {row} | " in shown
    assert "Durability: " in shown
