"""A cluster of two nodes for all tests that need one; without Ray they are skipped."""

from collections.abc import Iterator

import pytest

from tests.cluster.two_nodes import is_installed, two_nodes


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Of the cluster."""
    if not is_installed():
        pytest.skip("ray is not installed: pip install 'equipot[cluster]'")
    with two_nodes() as said:
        yield said
