"""Results of chunks whose job was cancelled."""

from app.errors import InvalidStructure
from app.jobs.hand_in import HandIn
from app.jobs.kept import Kept
from app.jobs.records import Record, unpack_records
from app.protocol.request import Entry
from tests.jobs.stores import MODEL, Scene


def kept(*numbers: int) -> Kept:
    """A chunk of five structures, of which some have a result."""
    known = Kept(names=[str(number) for number in range(5)])
    for number in numbers:
        error = InvalidStructure("none")
        known.add(number, Record(Entry(str(number), error), error))
    return known


def test_what_there_is_keeps_its_place(scene: Scene) -> None:
    job, leases = scene.create(2), scene.leases("a")
    lease = leases.take([MODEL])
    assert lease is not None
    hand_in = HandIn(leases, scene.folder)
    hand_in.leave(lease.place, kept(1, 2))
    assert scene.store.get(job.id).failed == 0, "the job has not ended"
    scene.store.cancel(job.id)
    HandIn(scene.leases("b"), scene.folder).leave(lease.place, kept(1))
    assert scene.store.get(job.id).failed == 0, "another one holds it"
    hand_in.leave(lease.place, kept(1, 2))
    hand_in.leave(lease.place, kept(1, 2, 3))
    shown = scene.store.get(job.id)
    assert (shown.answered, shown.failed, shown.left) == (0, 2, 8)
    (file, rest) = scene.store.result_files(job.id, 0, 10)
    assert (file.first, file.structures, rest.name) == (0, 5, None)
    assert file.name is not None
    path = scene.folder.results(job.id, file.name)
    records = unpack_records(path.read_bytes())
    assert [record.entry.id for record in records] == ["0", "1", "2", "3", "4"]
    names = [type(record.result).__name__ for record in records]
    assert names == ["Cancelled", *["InvalidStructure"] * 2, *["Cancelled"] * 2]
    assert [each.name for each in path.parent.iterdir()] == [file.name]


def test_what_a_dead_process_had_is_handed_in_by_another(scene: Scene) -> None:
    job = scene.create(1)
    lease = scene.leases("dead", seconds=0.0).take([MODEL])
    assert lease is not None
    scene.folder.work(*lease.place).write_bytes(kept(0).packed())
    scene.store.cancel(job.id)
    HandIn(scene.leases("b"), scene.folder).adopt(job.id)
    assert scene.store.get(job.id).failed == 1


def test_a_chunk_that_is_not_complete_gives_what_it_has_without_a_gap() -> None:
    assert len(kept(0, 1, 3).leading) == 2
    assert kept(1).leading == []
