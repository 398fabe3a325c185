import pytest

from app.backends.pair import PairBackend
from tests.contracts import BackendContract


class TestPair(BackendContract):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, pair_card):
        return PairBackend(pair_card)
