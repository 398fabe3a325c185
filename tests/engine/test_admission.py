"""How much may be inside, and what those are told who may not come in."""

import asyncio

import pytest

from app.access.caller import Caller
from app.engine.admission import RETRY_SECONDS, Admission, QueueLimits
from app.errors import Overloaded, RateLimited, Unavailable

LIMITS = QueueLimits(structures=2, atoms=100)


def test_whoever_leaves_makes_room() -> None:
    async def scene() -> None:
        admission = Admission(LIMITS)
        with (
            admission.admit(2, 10),
            pytest.raises(Overloaded, match="2 structures with 10 atoms are waiting"),
        ):
            admission.check_room()
        admission.check_room(2, 100)

    asyncio.run(scene())


def test_atoms_are_bounded_too_but_an_empty_queue_takes_anything() -> None:
    async def scene() -> None:
        admission = Admission(LIMITS)
        with admission.admit(1, 500), pytest.raises(Overloaded):
            admission.check_room(1, 1)

    asyncio.run(scene())


def test_the_time_to_come_back_follows_from_the_batches() -> None:
    async def scene() -> None:
        admission = Admission(QueueLimits(1, 10**6))
        for atoms, seconds, expected in ((100, 1.0, 30.0), (10**9, 1.0, RETRY_SECONDS[0])):
            admission.evaluated(atoms, seconds)
            with admission.admit(1, 3000), pytest.raises(Overloaded) as refused:
                admission.check_room()
            assert refused.value.retry_after == expected

    asyncio.run(scene())


def test_closing_waits_for_those_inside_and_lets_nobody_in() -> None:
    async def scene() -> None:
        admission = Admission(LIMITS)
        with admission.admit(1, 1):
            closing = asyncio.create_task(admission.close())
            await asyncio.sleep(0)
            assert not closing.done()
            with pytest.raises(Unavailable):
                admission.check_room()
        await closing

    asyncio.run(scene())


def test_bulk_does_not_shut_small_requests_out() -> None:
    async def scene() -> None:
        admission = Admission(QueueLimits(structures=4096, atoms=400_000))
        with admission.admit(2048, 40_000), admission.admit(1024, 20_000):
            with pytest.raises(Overloaded):
                admission.check_room(1024, 20_000)
            admission.check_room(64, 1300)
            with admission.admit(64, 1300), pytest.raises(Overloaded):
                admission.check_room(65, 1300)

    asyncio.run(scene())


def test_a_key_has_its_share_and_no_more() -> None:
    async def scene() -> None:
        admission = Admission(QueueLimits(structures=400, atoms=4000))
        some, other = Caller("some", share=0.25), Caller("other", share=0.25)
        with admission.admit(90, 100, some):
            full = pytest.raises(RateLimited)
            with admission.admit(10, 10, some), full as refused, admission.admit(1, 1, some):
                pass
            assert "100 structures with 110 atoms of key 'some'" in str(refused.value)
            assert "at most 100 and 1000 may" in str(refused.value)
            with pytest.raises(RateLimited), admission.admit(1, 901, some):
                pass
            with admission.admit(90, 900, other):
                pass
        with admission.admit(200, 100, some):  # into an empty share, whatever a request may have
            pass
        with admission.admit(100, 100, some):
            pass
        await admission.close()

    asyncio.run(scene())
