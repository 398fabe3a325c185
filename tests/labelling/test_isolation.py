"""Functions in worker processes."""

import os

from app.labelling.isolation import isolated


def test_isolated_keeps_a_bounded_window() -> None:
    read_so_far: list[int] = []

    def items():
        for index in range(50):
            read_so_far.append(index)
            yield index

    for result in isolated(_negation, items(), processes=2, timeout=60, window=3):
        assert result.value == -result.index
        assert len(read_so_far) <= result.index + 1 + 3 + 1


def _negation():
    return _negate


def _negate(value: int) -> int:
    return -value


def test_a_worker_that_dies_costs_its_item_alone() -> None:
    results = list(isolated(_fragile_one, range(5), processes=1, timeout=60))
    assert [result.value for result in results] == [0, -1, None, -3, -4]
    assert "exit code 9" in str(results[2].failure)


def _fragile_one():
    return _fragile


def _fragile(value: int) -> int:
    if value == 2:
        os._exit(9)
    return -value
