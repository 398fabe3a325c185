"""One chunk: what is under way, what is kept of it, and who ends the process."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from app.errors import BackendError, InvalidStructure, Unavailable
from app.jobs.chunk import CAREFUL, HOPELESS, Answer, Chunk
from app.jobs.kept import Kept
from app.jobs.leases import Lease
from app.jobs.records import Record, unpack_records
from app.protocol.request import Entry
from app.protocol.response import Result
from app.service.load import Load
from app.service.window import Window
from app.tasks import Course

COUNT = 6


def entries() -> list[Entry]:
    return [Entry(str(number), InvalidStructure("none")) for number in range(COUNT)]


def lease(attempts: int = 0) -> Lease:
    return Lease("job", 0, 0, 1, 0, COUNT, 0, attempts)


def chunk(
    path: Path, answer: Answer, attempts: int = 0, most: int = COUNT, window: Window | None = None
) -> Chunk:
    return Chunk(
        lease(attempts),
        entries(),
        Kept.read(path),
        path,
        answer,
        window or Window(),
        lambda: Load(most, 1),
    )


def run(made: Callable[[], Awaitable[bytes]]) -> list[Record]:
    async def main() -> bytes:
        return await made()

    return unpack_records(asyncio.run(main()))


class Answers:
    """Gives each structure an error of its own name; ends the process at one of them."""

    def __init__(self, deadly: str = "") -> None:
        self.deadly, self.asked = deadly, list[str]()
        self.now = self.most = 0

    async def __call__(self, entry: Entry, course: Course) -> Result:
        assert entry.id is not None
        self.asked.append(entry.id)
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        if entry.id == self.deadly:
            raise KeyboardInterrupt
        return InvalidStructure(f"of {entry.id}")


def told(records: list[Record]) -> list[str]:
    return [str(record.result) for record in records]


@pytest.mark.parametrize("most", [1, 3])
def test_all_are_answered_and_no_more_than_there_is_room_for_at_a_time(
    tmp_path: Path, most: int
) -> None:
    answers = Answers()
    records = run(lambda: chunk(tmp_path / "0", answers, most=most).run(lambda: None))
    assert told(records) == [f"of {number}" for number in range(COUNT)]
    assert answers.most == most


def test_what_is_kept_is_not_asked_again(tmp_path: Path) -> None:
    async def first() -> None:
        one = chunk(tmp_path / "0", Answers(), most=1)
        running = asyncio.create_task(one.run(lambda: None))
        while sum(one.progress[:2]) < 2:
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        one.save()

    asyncio.run(first())
    answers = Answers()
    second = chunk(tmp_path / "0", answers)
    assert second.progress.failed >= 2
    assert not second.progress.is_new
    records = run(lambda: second.run(lambda: None))
    assert told(records) == [f"of {number}" for number in range(COUNT)]
    assert answers.asked == [str(n) for n in range(COUNT - len(answers.asked), COUNT)]
    assert second.progress[:3] == (0, COUNT, True)


def test_a_model_that_takes_nothing_any_more_ends_it(tmp_path: Path) -> None:
    async def gone(entry: Entry, course: Course) -> Result:
        raise Unavailable("leaving")

    async def main() -> bytes:
        window = Window()
        with pytest.raises(Unavailable):
            await chunk(tmp_path / "0", gone, most=2, window=window).run(lambda: None)
        return await chunk(tmp_path / "0", Answers(), window=window).run(lambda: None)

    assert len(run(main)) == COUNT, "its places are free again"


def test_a_structure_that_ends_the_process_each_time_costs_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "0"
    first = Answers(deadly="3")
    with pytest.raises(KeyboardInterrupt):
        run(lambda: chunk(path, first, CAREFUL + 1).run(lambda: None))
    assert first.most == 1
    answers = Answers(deadly="3")
    records = run(lambda: chunk(path, answers, CAREFUL + 1).run(lambda: None))
    assert "3" not in answers.asked
    assert isinstance(records[3].result, BackendError)
    assert "not tried again" in str(records[3].result)
    assert told(records[:3] + records[4:]) == [f"of {n}" for n in range(COUNT) if n != 3]


def test_what_can_never_be_answered_gets_an_error_in_the_end(tmp_path: Path) -> None:
    answers = Answers()
    records = run(lambda: chunk(tmp_path / "0", answers, HOPELESS + 1).run(lambda: None))
    assert answers.asked == []
    assert all(isinstance(record.result, BackendError) for record in records)
