"""Each chunk has one holder, and its results count once."""

import threading

from app.jobs.job import as_text
from app.jobs.leases import Lease, Progress
from app.protocol.model_ref import ModelRef
from tests.jobs.stores import MODEL, Scene

ALL = Progress(4, 1, True)


def taken(scene: Scene, holder: str, seconds: float = 60.0) -> Lease:
    lease = scene.leases(holder, seconds).take([MODEL])
    assert lease is not None
    return lease


def test_chunks_are_taken_once_in_the_order_of_jobs(scene: Scene) -> None:
    first, second = scene.create(2), scene.create(1)
    places = [taken(scene, holder).place for holder in ("a", "b", "a")]
    assert places == [(first.id, 0), (first.id, 1), (second.id, 0)]
    assert scene.leases("b").take([MODEL]) is None
    assert scene.store.get(first.id).state == "running"


def test_many_at_once_take_each_chunk_once(scene: Scene) -> None:
    job = scene.create(24)
    found: list[Lease | None] = []

    def take(holder: str) -> None:
        leases = scene.leases(holder)
        found.extend(leases.take([MODEL]) for _ in range(4))

    threads = [threading.Thread(target=take, args=(str(n),)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    places = [lease.place for lease in found if lease is not None]
    assert sorted(places) == [(job.id, number) for number in range(24)]


def test_only_chunks_of_models_that_are_served_are_taken(scene: Scene) -> None:
    scene.create(1)
    assert scene.leases("a").take([]) is None
    assert scene.leases("a").take([ModelRef.of(MODEL.reference, "another digest")]) is None
    assert scene.leases("a").take([ModelRef.of("other@1", MODEL.digest), MODEL]) is not None


def test_what_a_dead_holder_had_goes_to_another_one_and_its_results_do_not_count(
    scene: Scene,
) -> None:
    job = scene.create(1)
    lease = taken(scene, "dead", seconds=0.0)
    again = taken(scene, "alive")
    assert again.place == lease.place
    assert (lease.attempts, again.attempts) == (0, 1)
    assert scene.leases("dead").renew({lease.place: ALL}) == {lease.place}
    assert not scene.leases("dead").finish(lease.place, "late", 1, ALL)
    assert scene.leases("alive").finish(lease.place, "0.alive", 9, ALL)
    assert not scene.leases("alive").finish(lease.place, "0.twice", 9, ALL)
    assert [file.name for file in scene.store.result_files(job.id, 0, 5)] == ["0.alive"]
    shown = scene.store.get(job.id)
    assert (shown.answered, shown.failed, shown.left, shown.result_bytes) == (4, 1, 0, 9)


def test_who_says_that_it_lives_keeps_its_chunk(scene: Scene) -> None:
    job = scene.create(1)
    lease = taken(scene, "a", seconds=0.0)
    assert scene.leases("a").renew({lease.place: Progress(2, 1, True)}) == set()
    assert scene.leases("b").take([MODEL]) is None
    shown = scene.store.get(job.id)
    assert (shown.answered, shown.failed, shown.left) == (2, 1, 2)
    assert shown.rate is not None


def test_attempts_count_until_something_comes_of_one(scene: Scene) -> None:
    scene.create(1)
    for number in range(3):
        assert taken(scene, "a", seconds=0.0).attempts == number
    place = taken(scene, "a").place
    scene.leases("a").release([place])
    assert taken(scene, "a", seconds=0.0).attempts == 3
    place = taken(scene, "a").place
    scene.leases("a").release([place], counts=True)
    lease = taken(scene, "a")
    assert lease.attempts == 5
    scene.leases("a").renew({lease.place: ALL})
    scene.leases("a").release([place])
    assert taken(scene, "a").attempts == 0


def test_of_an_item_there_may_be_several_structures(scene: Scene) -> None:
    job = scene.create(2)
    for number in range(2):
        lease = taken(scene, "a")
        assert scene.leases("a").finish(lease.place, f"{number}.a", 1, Progress(7, 1, True))
    shown = scene.store.get(job.id)
    assert (shown.structures, shown.answered, shown.failed, shown.left) == (16, 14, 2, 0)
    files = scene.store.result_files(job.id, 8, 16)
    assert [(file.name, file.first, file.structures) for file in files] == [("1.a", 8, 8)]


def test_a_job_ends_with_its_last_chunk(scene: Scene) -> None:
    job = scene.create(2)
    leases = scene.leases("a")
    for number in range(2):
        assert leases.end_jobs() == []
        assert leases.finish(taken(scene, "a").place, f"{number}.a", 1, ALL)
    assert leases.end_jobs() == [job.id]
    assert leases.end_jobs() == []
    ended = scene.store.get(job.id)
    assert ended.state == "done"
    assert ended.ended is not None


def test_of_a_job_that_was_cancelled_nothing_counts_any_more(scene: Scene) -> None:
    job = scene.create(2)
    lease = taken(scene, "a")
    assert scene.store.cancel(job.id).state == "cancelled"
    assert scene.leases("a").renew({lease.place: ALL}) == {lease.place}
    assert not scene.leases("a").finish(lease.place, "0.a", 1, ALL)
    assert scene.leases("a").take([MODEL]) is None
    assert scene.leases("a").end_jobs() == []
    assert scene.store.cancel(job.id).state == "cancelled"


def test_a_job_of_several_models_waits_for_all_of_them(scene: Scene) -> None:
    second = ModelRef.of("crystals@3", "e" * 64)
    scene.create(1, others=as_text([second]))
    later = scene.create(1)
    lease = scene.leases("a").take([MODEL])
    assert lease is not None
    assert lease.job == later.id
    assert scene.leases("a").take([MODEL, ModelRef.of("crystals@3", "f" * 64)]) is None
    both = scene.leases("a").take([second, MODEL])
    assert both is not None
    assert scene.store.get(both.job).models == (MODEL, second)


def test_owners_take_turns_whatever_each_has(scene: Scene) -> None:
    bulk = scene.create(6, owner="bulk")
    small, nobodys = scene.create(2, owner="small"), scene.create(1)
    leases = scene.leases("a")
    taken = [lease.place for _ in range(9) if (lease := leases.take([MODEL]))]
    assert taken == [
        *((bulk.id, 0), (small.id, 0), (nobodys.id, 0)),
        *((bulk.id, 1), (small.id, 1)),
        *((bulk.id, number) for number in range(2, 6)),
    ]
    late = scene.create(1, owner="small")
    more = scene.create(2, owner="bulk")
    rest = [lease.place for _ in range(3) if (lease := leases.take([MODEL]))]
    assert rest == [(late.id, 0), (more.id, 0), (more.id, 1)]
    assert leases.take([MODEL]) is None


def test_who_comes_late_waits_for_one_chunk_of_each(scene: Scene) -> None:
    bulk = scene.create(5, owner="bulk")
    leases = scene.leases("a")
    assert [leases.take([MODEL]).place for _ in range(3)] == [(bulk.id, n) for n in range(3)]  # type: ignore[union-attr]
    late = scene.create(1, owner="late")
    lease = leases.take([MODEL])
    assert lease is not None
    assert lease.place == (late.id, 0)
