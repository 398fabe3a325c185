"""The benchmark of a screen runs from end to end."""

import pytest

from benchmarks import screen


@pytest.mark.slow
def test_every_way_is_measured(capfd: pytest.CaptureFixture[str]) -> None:
    screen.main(
        ["--job", "40", "--stream", "40", "--records", "10", "--pool", "10", "--seconds", "0.01"]
    )
    rows = [line.split("|")[1].strip() for line in capfd.readouterr().out.splitlines()]
    assert rows[2].startswith("backend alone, ")
    assert rows[3:] == ["job", "stream", "`equipot predict`", "ASE, a process of a pool"]
