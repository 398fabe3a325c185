"""Tasks by the client; its types are those of the tasks."""

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
from ase.build import molecule
from ase.constraints import FixAtoms

from app.tasks import TASKS
from equipot import (
    AsyncClient,
    Client,
    InvalidRequest,
    NotConverged,
    Stage,
    UnknownJob,
    UnknownTask,
    UnsupportedElement,
    options,
)
from equipot.calls import of_task
from equipot.options import query_of
from equipot.structures import end_points
from tests.api.server import Running, running
from tests.paths import MODEL_STORE


@pytest.fixture(scope="module")
def service() -> Iterator[Running]:
    with running(MODEL_STORE, default_model="organic-xtb", threads=1) as server:
        yield server


@pytest.fixture
def client(service: Running) -> Iterator[Client]:
    with Client(f"http://127.0.0.1:{service.port}") as client:
        yield client


@pytest.mark.parametrize("name", TASKS)
def test_options_are_those_of_the_tasks(name: str) -> None:
    words = "".join(word.capitalize() for word in name.split("-"))
    stated = getattr(options, f"{words}Options").__annotations__
    assert list(stated) == list(TASKS[name].options.model_fields)
    assert callable(getattr(Client, name.replace("-", "_")))
    assert callable(getattr(AsyncClient, name.replace("-", "_")))


def test_thermochemistry(client: Client) -> None:
    water, bad, again = client.thermo(
        [molecule("H2O"), molecule("SiH4"), molecule("H2O")], temperature_K=350.0, strict=False
    )
    assert not bad.ok
    assert water.value is not None
    assert again.value is not None
    assert water.value["temperature_K"] == 350
    assert water.value["gibbs_energy_eV"] == pytest.approx(again.value["gibbs_energy_eV"], abs=1e-5)
    assert water.energy == pytest.approx(water.value["energy_eV"])
    assert water.relaxation is not None
    assert water.relaxation.converged
    assert len(water.atoms) == 3
    (cold,) = client.thermo(molecule("H2O"), max_steps=0)
    assert isinstance(cold.error, NotConverged)


def test_the_course_of_one_and_the_count_of_many(client: Client, service: Running) -> None:
    told: list[Stage] = []
    (water,) = client.thermo(molecule("H2O"), progress=told.append)
    assert water.value is not None
    assert [str(stage) for stage in told][-1] == "displaced copies 18 of 18"
    assert water.value["gibbs_energy_eV"] == pytest.approx(
        client.thermo(molecule("H2O"))[0].value["gibbs_energy_eV"], abs=1e-6
    )
    assert water.forces is not None
    assert water.forces.shape == (3, 3)
    (bad,) = client.thermo(molecule("SiH4"), progress=told.append)
    assert isinstance(bad.error, UnsupportedElement)
    told.clear()
    both = client.thermo([molecule("H2O"), molecule("CH4")], progress=told.append)
    assert len(both.ok) == 2
    assert told == [Stage("structures", 1, 2), Stage("structures", 2, 2)]

    async def course() -> list[Stage]:
        told: list[Stage] = []
        async with AsyncClient(f"http://127.0.0.1:{service.port}") as other:
            await other.scan(
                molecule("H2O"), atoms=[0, 1], range_A=(0.9, 1.1), points=2, progress=told.append
            )
        return told

    assert asyncio.run(course())[-1].name == "relaxations"


def test_arrays_of_numpy_are_options(client: Client) -> None:
    asked = {"atoms": np.array([0, 1]), "range_A": np.array([0.9, 1.1]), "points": np.int64(2)}
    (result,) = client.scan(molecule("H2O"), **asked)
    assert result.value is not None
    assert result.value["values_A"] == [0.9, 1.1]
    state = {"positions_A": np.zeros((1, 3)), "step": np.int64(3)}
    assert query_of(of_task({"restart": [state]})) == {
        "restart": '[{"positions_A": [[0.0, 0.0, 0.0]], "step": 3}]'
    }


def test_options_that_cannot_be_sent_are_named_before_anything_is_sent() -> None:
    nobody, water = Client("http://127.0.0.1:1"), molecule("H2O")
    for ask, told in (
        (lambda: nobody.neb(water, ends=None), "ends: None (NoneType) is no end of a path"),
        (lambda: nobody.neb(water, ends=[water, 3]), "ends.1: 3 (int) is no end of a path"),
        (lambda: nobody.neb(water, ends="a.xyz"), "ends: 'a.xyz' (str) is no end"),
        (
            lambda: nobody.md(water, restart=[{"step": {1}}]),
            "restart.0.step: {1} (set) cannot be sent",
        ),
        (
            lambda: nobody.thermo(water, temperature_K=1j),
            "temperature_K: 1j (complex) cannot be sent; state n",
        ),
        (lambda: nobody.scan(water, atoms=np.array([object()])), "atoms.0: <object object at "),
        (
            lambda: nobody.predict(water, model=Client),
            "model: <class 'equipot.client.Client'> (",
        ),
        (lambda: nobody.relax(water, fmax={0.1}), "relax.fmax: {0.1} (set)"),
        (
            lambda: nobody.jobs.submit(water, properties={"energy"}),
            "properties: {'energy'} (set)",
        ),
        (
            lambda: nobody.jobs.submit(water, task="md", steps=range(3)),
            "steps: range(0, 3) (range)",
        ),
        (lambda: list(nobody.stream(water, strict=object)), "strict: <class 'object'> (type)"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            ask()
        assert str(caught.value).startswith(told)
    for unknown in (lambda: nobody.task(None, water), lambda: nobody.jobs.get(None)):
        with pytest.raises((UnknownTask, UnknownJob), match="'None'"):
            unknown()


def test_ends_of_paths_state_all_that_they_hold(client: Client) -> None:
    end = molecule("NH3")
    end.set_constraint(FixAtoms([0]))
    end.info["multiplicity"] = 1
    (fields,) = end_points(end)
    assert (fields["fixed"], fields["multiplicity"]) == ([0], 1)
    (result,) = client.neb(molecule("NH3"), ends=end)
    assert str(result.error).startswith("ends.0.multiplicity: 1, and not stated in the structure")


def test_streams_and_names(client: Client, service: Running) -> None:
    given = [molecule("H2O"), molecule("CH4")]
    found = sorted(client.stream(given, task="thermo", hessian=True), key=lambda r: r.index)
    assert [len(r.value["hessian_eV_per_A2"]) for r in found if r.value] == [9, 15]
    assert [task["name"] for task in client.tasks()] == list(TASKS)
    with pytest.raises(UnknownTask, match="no task 'none'"):
        client.task("none", molecule("H2O"))

    async def ask() -> float:
        async with AsyncClient(f"http://127.0.0.1:{service.port}") as client:
            (result,) = await client.thermo(molecule("CH4"), progress=True)
        assert result.value is not None
        return float(result.value["symmetry_number"])

    assert asyncio.run(ask()) == 12
