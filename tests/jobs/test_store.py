"""What is said of jobs, and when one is not taken in."""

import pytest

from app.access.caller import Caller
from app.errors import JobConflict, Overloaded, RateLimited, Unavailable, UnknownJob
from app.jobs.job import Job
from app.jobs.leases import Progress
from app.jobs.store import JobStore
from tests.jobs.stores import MODEL, Scene, new_job, parts


def test_a_job_is_found_as_it_was_asked(scene: Scene) -> None:
    job = scene.create(2, prefix=b'{"structures":[', kind="json", estimate=2.5)
    found = scene.store.get(job.id)
    assert (found.query, found.prefix, found.kind) == (
        [("relax", "true")],
        b'{"structures":[',
        "json",
    )
    assert (found.state, found.left, found.rate, found.started) == ("queued", 10, None, None)


def test_the_newest_are_listed_first(scene: Scene) -> None:
    jobs = [scene.create(1) for _ in range(3)]
    listed = scene.store.listed(2, None, None)
    assert [job.id for job in listed] == [jobs[2].id, jobs[1].id]
    rest = scene.store.listed(5, listed[-1].created, None)
    assert [job.id for job in rest] == [jobs[0].id]
    scene.store.cancel(jobs[1].id)
    assert [job.id for job in scene.store.listed(5, None, "cancelled")] == [jobs[1].id]


def test_a_key_gives_the_same_job_for_the_same_request_alone(scene: Scene) -> None:
    first = scene.create(1, key="mine")
    assert scene.create(1, key="mine").id == first.id
    with pytest.raises(JobConflict, match=first.id):
        scene.create(1, key="mine", request_digest="other")
    assert len(scene.store.listed(5, None, None)) == 1
    assert scene.create(1).id != scene.create(1).id


def test_limits_are_named(scene: Scene) -> None:
    scene.create(1)
    with pytest.raises(Overloaded, match="max_jobs"):
        scene.store.create(new_job(), parts(1), 1, 10**9)
    with pytest.raises(Overloaded, match="max_jobs_bytes"):
        scene.store.create(new_job(), parts(1), 5, 199)
    scene.store.create(new_job(), parts(1), 2, 200)


def test_what_is_there_without_a_gap_is_given(scene: Scene) -> None:
    job = scene.create(4)
    leases = scene.leases("a")
    places = [lease.place for _ in range(4) if (lease := leases.take([MODEL]))]
    for number in (0, 1, 3):
        leases.finish(places[number], f"{number}.a", 1, Progress(5, 0, True))
    files = scene.store.result_files(job.id, 0, 20)
    assert [(file.name, file.number, file.first) for file in files] == [
        ("0.a", 0, 0),
        ("1.a", 1, 5),
        (None, 2, 10),
    ]
    assert [file.first for file in scene.store.result_files(job.id, 5, 6)] == [5]
    assert [file.name for file in scene.store.result_files(job.id, 10, 20)] == [None]
    assert scene.store.first_part(job.id) == parts(1)[0]


def test_unknown_jobs(scene: Scene) -> None:
    for ask in (scene.store.get, scene.store.cancel):
        with pytest.raises(UnknownJob):
            ask("none")


def test_a_database_belongs_to_one_folder(scene: Scene) -> None:
    JobStore(scene.database, scene.folder.id)
    with pytest.raises(Unavailable, match="share one folder"):
        JobStore(scene.database, "another")


def test_a_key_has_its_share_of_the_jobs(scene: Scene) -> None:
    def create(caller: Caller) -> Job:
        return scene.store.create(new_job(owner=caller.name), parts(1), 4, 10**9, caller)

    half, little = Caller("half", 0.5), Caller("little", 0.01)
    first, _, other = create(half), create(half), create(little)
    for caller, most in ((half, 2), (little, 1)):
        with pytest.raises(RateLimited, match=f"{most} jobs of key '{caller.name}'"):
            scene.store.check_room(1, 4, 10**9, caller)
        with pytest.raises(RateLimited):
            create(caller)
    scene.store.cancel(first.id)
    assert create(half).owner == "half"
    assert [job.id for job in scene.store.listed(9, None, None, "little")] == [other.id]
    with pytest.raises(UnknownJob):
        scene.store.get(other.id, "half")
