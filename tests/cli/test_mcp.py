"""`equipot mcp`, asked by the package's own client over standard input and output."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read, write

from app.cli.main import main
from app.tasks import TASKS
from equipot import EquipotCalculator
from tests.api.server import running
from tests.paths import ROOT

mcp = pytest.importorskip("mcp")
TOOLS = {
    *("list_models", "check", "predict", "relax"),
    *(name.replace("-", "_") for name in TASKS),
    *("submit_job", "job_status", "cancel_job", "results"),
}
Script = Callable[[Any], Awaitable[None]]


def run(arguments: list[str], script: Script, folder: Path) -> None:
    """A conversation with the command."""
    command = mcp.StdioServerParameters(
        command=sys.executable,
        args=["-m", "app.cli.main", "mcp", *arguments],
        env={
            "PYTHONPATH": f"{ROOT}:{ROOT / 'client'}",
            "EQUIPOT_JOBS_FOLDER": str(folder / "jobs"),
            "EQUIPOT_CACHE": "",
            "EQUIPOT_MEASURE": "false",
        },
        cwd=folder,
    )

    async def talk() -> None:
        async with mcp.Client(command) as client:
            await script(client)

    asyncio.run(talk())


async def call(client: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content[0].text
    return result.structured_content


async def refused(client: Any, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return result.content[0].text


@pytest.fixture
def crystal(tmp_path: Path) -> Atoms:
    atoms = bulk("Ar", cubic=True, a=5.2)
    atoms.rattle(0.1, seed=0)
    write(tmp_path / "crystal.xyz", atoms)
    return atoms


def test_a_file_is_relaxed_by_a_service_of_its_own(
    tmp_path: Path, pair_store: Path, crystal: Atoms
) -> None:
    async def script(client: Any) -> None:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == TOOLS
        assert all(tool.description and tool.output_schema for tool in tools)
        (model, *_) = (await call(client, "list_models"))["models"]
        assert model["model"].startswith("pairs@")
        given = [{"path": str(tmp_path / "crystal.xyz")}]
        checked = await call(client, "check", structures=given, task="relax")
        assert next(iter(checked)) == "problems"
        assert checked["n_atoms"] == 4
        assert checked["at_most_seconds"] >= checked["expected_seconds"]
        assert checked["advice"] == "call relax"
        relaxed = await call(client, "relax", structures=given, fmax_eV_per_A=0.01)
        assert next(iter(relaxed)) == "warnings"
        (row,) = relaxed["rows"]
        assert row["converged"]
        assert row["formula"] == "Ar4"
        assert row["energy_change_eV"] < 0
        assert row["max_force_eV_per_A"] < 0.01
        name, file = relaxed["answer_id"], tmp_path / "relaxed.xyz"
        written = await call(client, "results", id=name, output_file=str(file))
        assert written["output_file"] == str(file)
        atoms = read(file)
        assert atoms.get_potential_energy() == pytest.approx(row["energy_eV"], abs=1e-6)
        again = await call(client, "predict", structures=[{"answer": name}])
        assert again["rows"][0]["energy_eV"] == pytest.approx(row["energy_eV"], abs=1e-6)
        shown = await call(client, "results", id=name, atoms=True)
        np.testing.assert_allclose(shown["rows"][0]["positions_A"], atoms.positions, atol=1e-4)
        resource = await client.read_resource(f"equipot://answers/{name}")
        assert resource.contents[0].text.startswith("4\n")

    run(["--model-store", str(pair_store), "--default-model", "pairs"], script, tmp_path)


def test_errors_say_what_to_do(tmp_path: Path, pair_store: Path, crystal: Atoms) -> None:
    argon = {"content": "2\nx\nAr 0 0 0\nAr 0 0 3.9\n"}

    async def script(client: Any) -> None:
        said = await refused(client, "predict", structures=[argon], model="none")
        assert "unknown_model" in said
        assert "list_models" in said
        for given, told in [
            ({"path": "nowhere.xyz"}, "no such file"),
            ({"answer": "answer-none"}, "compute it again"),
            ({**argon, "smiles": "C"}, "exactly one of"),
            ({"smiles": "C", "format": "xyz"}, "goes with content"),
        ]:
            assert told in await refused(client, "predict", structures=[given])
        assert "submit_job takes any number" in await refused(
            client, "predict", structures=[argon] * 201
        )
        taken = str(tmp_path / "crystal.xyz")
        answer = await call(client, "predict", structures=[argon, {"content": "1\nx\nAu 0 0 0\n"}])
        assert answer["failed"] == 1
        assert answer["warnings"][0].startswith("unsupported_element: 1 of 2")
        assert "unsupported_element" in answer["rows"][1]["error"]
        name = answer["answer_id"]
        assert "a new file" in await refused(client, "results", id=name, output_file=taken)
        assert "from 0" in await refused(
            client, "predict", structures=[{"answer": name, "index": 5}]
        )
        assert "unknown_job" in await refused(client, "job_status", job_id="0" * 32)
        for name in ("../models", "..", "a/results", "x?y=1"):
            assert "unknown_job" in await refused(client, "cancel_job", job_id=name)
        assert "unknown_model" in await refused(client, "list_models", model="../jobs")
        for unknown in ({"charge": 2}, {"fmax": 0.1}):
            said = await refused(client, "relax", structures=[argon], **unknown)
            name = next(iter(unknown))
            assert f"invalid_request: {name}: unknown field; known are structures, " in said
        said = await refused(client, "thermo", structures=[argon], options={"temperature": 300})
        assert "options.temperature: unknown field; known are fmax_eV_per_A, " in said
        assert "pydantic" not in said
        assert "structures: this field is required" in await refused(client, "predict")
        calculator = EquipotCalculator("pairs", pair_store)
        dimer = Atoms("Ar2", [[0, 0, 0], [0, 0, 3.9]], calculator=calculator)
        assert answer["rows"][0]["energy_eV"] == pytest.approx(
            dimer.get_potential_energy(), abs=1e-6
        )

    with running(pair_store, jobs_folder=tmp_path / "jobs") as service:
        run(["--server", f"http://127.0.0.1:{service.port}"], script, tmp_path)


def test_a_job_is_submitted_followed_and_read(
    tmp_path: Path, pair_store: Path, crystal: Atoms
) -> None:
    many = tmp_path / "many.xyz"
    many.write_text((tmp_path / "crystal.xyz").read_text() * 30)

    async def script(client: Any) -> None:
        job = await call(client, "submit_job", structures=[{"path": str(many)}], key="one")
        again = await call(client, "submit_job", structures=[{"path": str(many)}], key="one")
        assert again["job_id"] == job["job_id"]
        while job["state"] not in ("done", "cancelled"):
            job = await call(client, "job_status", job_id=job["job_id"], wait_seconds=20)
        assert (job["done"], job["failed"], job["left"]) == (30, 0, 0)
        rows = (await call(client, "results", id=job["job_id"], offset=28))["rows"]
        assert [row["index"] for row in rows] == [28, 29]
        assert rows[0]["converged"]
        file = tmp_path / "results.xyz"
        await call(client, "results", id=job["job_id"], output_file=str(file))
        assert len(read(file, ":")) == 30

    folder = tmp_path / "jobs"
    with running(pair_store, jobs_folder=folder) as service:
        run(["--server", f"http://127.0.0.1:{service.port}"], script, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--server", "http://127.0.0.1:9", "--threads", "1"], "--threads: of this process"),
        (["--server", "localhost"], "--server: url"),
        (["--threads", "many"], "setting threads"),
    ],
)
def test_wrong_usage_is_told(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mcp", *arguments]) == 2
    assert told in capsys.readouterr().err
