"""What becomes of jobs that have ended."""

import os

from app.jobs.folder import ABANDONED
from app.jobs.job import Job
from app.jobs.leases import Progress
from app.jobs.upkeep import TRIES, Upkeep
from tests.jobs.stores import MODEL, Scene

HOUR = 3600.0


def upkeep(scene: Scene, seconds: float = HOUR, most_bytes: int = 10**6) -> Upkeep:
    return Upkeep(scene.database, scene.store, scene.folder, seconds, most_bytes)


def done(scene: Scene, size: int = 1, **given: str) -> Job:
    """A job that has ended, with results of some size."""
    job = scene.create(1, **given)
    leases = scene.leases("a")
    lease = leases.take([MODEL])
    assert lease is not None
    scene.folder.results(job.id, "0.a").write_bytes(bytes(size))
    scene.folder.results(job.id, "0.lost").write_bytes(bytes(size))
    assert leases.finish(lease.place, "0.a", size, Progress(5, 0, True))
    leases.end_jobs()
    return job


def ids(scene: Scene) -> list[str]:
    return [job.id for job in scene.store.listed(100, None, None)]


def test_of_an_ended_job_its_results_are_kept_alone(scene: Scene) -> None:
    job = done(scene)
    upkeep(scene).tidy(job.id)
    left = {path.name for path in (scene.folder.root / job.id).rglob("*")}
    assert left == {"results", "0.a"}


def test_jobs_go_by_their_age(scene: Scene) -> None:
    old, open_job = done(scene), scene.create(1)
    assert upkeep(scene).remove_outdated() == []
    assert upkeep(scene, seconds=0.0).remove_outdated() == [old.id]
    assert ids(scene) == [open_job.id]
    assert not (scene.folder.root / old.id).exists()
    assert scene.folder.input(open_job.id).exists()


def test_the_oldest_go_where_all_take_too_much(scene: Scene) -> None:
    jobs = [done(scene, size=1000) for _ in range(3)]
    scene.create(1)
    assert upkeep(scene, most_bytes=3100).remove_outdated() == []
    assert upkeep(scene, most_bytes=2100).remove_outdated() == [jobs[0].id]
    assert upkeep(scene, most_bytes=100).remove_outdated() == [jobs[1].id, jobs[2].id]
    assert len(ids(scene)) == 1


def test_what_was_left_behind_is_tidied(scene: Scene) -> None:
    job = done(scene)
    scene.folder.create("upload")
    scene.folder.create("cut off")
    long_ago = os.stat(scene.folder.root).st_mtime - 2 * ABANDONED
    os.utime(scene.folder.root / "cut off", (long_ago, long_ago))
    keeper = upkeep(scene)
    keeper.remove_outdated()
    assert keeper.abandoned() == [job.id]
    keeper.tidy(job.id)
    assert keeper.abandoned() == []
    assert not scene.folder.input(job.id).exists()
    assert (scene.folder.root / "upload").exists()
    assert not (scene.folder.root / "cut off").exists()


def test_webhooks_of_ended_jobs_are_told_until_they_took_it(scene: Scene) -> None:
    scene.create(1, webhook="http://open")
    keeper = upkeep(scene)
    assert keeper.next_webhook() is None
    scene.store.cancel(ids(scene)[0])
    job = keeper.next_webhook()
    assert job is not None
    assert keeper.next_webhook() is None, "it is told by one at a time, and not again at once"
    keeper.told(job.id, succeeded=False)
    assert scene.store.get(job.id).webhook_state == "waiting"
    keeper.told(job.id, succeeded=True)
    assert scene.store.get(job.id).webhook_state == "sent"


def test_a_webhook_that_never_takes_it_is_given_up(scene: Scene) -> None:
    job = scene.create(1, webhook="http://never")
    scene.store.cancel(job.id)
    later = 0.0
    true_now = scene.database.now
    scene.database.now = lambda connection: true_now(connection) + later  # type: ignore[method-assign]
    keeper = upkeep(scene)
    for _ in range(TRIES):
        assert scene.store.get(job.id).webhook_state == "waiting"
        assert keeper.next_webhook() is not None
        keeper.told(job.id, succeeded=False)
        later += 10 * HOUR
    assert scene.store.get(job.id).webhook_state == "failed"
    assert keeper.next_webhook() is None


def test_who_still_works_on_a_cancelled_job_hands_in_before_it_is_tidied(scene: Scene) -> None:
    job = scene.create(2)
    scene.leases("a").take([MODEL])
    scene.store.cancel(job.id)
    assert upkeep(scene).abandoned() == []


def test_jobs_and_structures_are_counted(scene: Scene) -> None:
    keeper = upkeep(scene)
    assert keeper.census() == ({}, {"done": 0, "failed": 0, "left": 0}, 0.0)
    done(scene)
    scene.create(2)
    lease = scene.leases("a").take([MODEL])
    assert lease is not None
    scene.leases("a").renew({lease.place: Progress(2, 1, True)})
    census = keeper.census()
    assert census.jobs == {"done": 1, "running": 1}
    assert census.structures == {"done": 2, "failed": 1, "left": 7}
    assert census.oldest > 0
