"""`/mcp`, asked by the package's own client over HTTP."""

import asyncio
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase.io
import pytest

from app.api.app import create_app
from app.errors import InvalidRequest
from app.settings import Settings
from tests.access.issued import issue
from tests.api.server import Running, running
from tests.paths import MODEL_STORE

mcp = pytest.importorskip("mcp")


@pytest.fixture(scope="module")
def service() -> Iterator[Running]:
    with running(MODEL_STORE, default_model="organic-xtb", threads=1, mcp=True) as server:
        yield server


def called(service: Running, *asked: tuple[str, dict[str, Any]]) -> list[Any]:
    """Results of tools, one after the other; `answer_id` in arguments is that of the first."""

    async def talk() -> list[Any]:
        results: list[Any] = []
        async with mcp.Client(f"http://127.0.0.1:{service.port}/mcp") as client:
            for tool, arguments in asked:
                results.append(await client.call_tool(tool, arguments))
        return results

    return asyncio.run(talk())


def test_conformers_are_ranked_and_differ(service: Running) -> None:
    pytest.importorskip("rdkit")
    asked = {"structures": [{"smiles": "CCCO"}], "options": {"count": 6}}
    (result,) = called(service, ("conformers", asked))
    (row,) = result.structured_content["rows"]
    energies = [conformer["relative_energy_eV"] for conformer in row["conformers"]]
    assert 1 < len(energies) <= 6
    assert energies[0] == 0
    assert energies == sorted(energies)
    assert sum(c["weight"] for c in row["conformers"]) == pytest.approx(1)
    assert "positions_A" not in row["conformers"][0]


def test_a_molecule_is_checked_and_relaxed(service: Running) -> None:
    pytest.importorskip("rdkit")
    ethanol, gold = {"smiles": "CCO"}, {"smiles": "[AuH]"}
    checked, relaxed = called(
        service,
        ("check", {"structures": [ethanol, gold], "task": "relax"}),
        ("relax", {"structures": [ethanol], "fmax_eV_per_A": 0.03}),
    )
    assert checked.structured_content["n_atoms"] == 9
    assert "1 of 2" in checked.structured_content["problems"][0]
    (row,) = relaxed.structured_content["rows"]
    assert row["converged"]
    assert row["max_force_eV_per_A"] < 0.03
    assert row["energy_std_eV"] > 0


def test_a_task_is_a_tool(service: Running) -> None:
    water = {"content": "3\nx\nO 0 0 0.1\nH 0 0.76 -0.48\nH 0 -0.76 -0.48\n"}
    wrong, found = called(
        service,
        ("thermo", {"structures": [water], "options": {"temperature": 400}}),
        ("thermo", {"structures": [water], "options": {"temperature_K": 400, "hessian": True}}),
    )
    assert wrong.is_error
    (row,) = found.structured_content["rows"]
    assert row["formula"] == "H2O"
    assert row["temperature_K"] == 400
    assert len(row["frequencies_per_cm"]) == 3
    assert "hessian_eV_per_A2" not in row


def test_a_task_as_a_job(pair_store: Path, tmp_path: Path) -> None:
    argon = {"content": "2\nx\nAr 0 0 0\nAr 0 0 3.9\n"}
    asked = {
        "structures": [argon],
        "task": "thermo",
        "options": {"temperature_K": 90, "hessian": True},
    }
    with running(pair_store, mcp=True, jobs_folder=tmp_path) as server:
        (submitted,) = called(server, ("submit_job", asked))
        job = submitted.structured_content["job_id"]
        waited, found, wrong = called(
            server,
            ("job_status", {"job_id": job, "wait_seconds": 50}),
            ("results", {"id": job}),
            ("submit_job", {"structures": [argon], "task": "predict", "options": {"points": 3}}),
        )
    assert waited.structured_content["done"] == 1
    (row,) = found.structured_content["rows"]
    assert row["found"]["temperature_K"] == 90
    assert wrong.is_error


def test_charges_and_warnings_are_told(service: Running) -> None:
    """Two doubts of one structure are those of one; its file says what its rows say."""
    far = "3\ncharge=-1\nO 0 0 0\nH 0 0 0.6\nH 0 0 6\n"
    formate = "4\ncharge=-1\nC 0 0 0\nH 0 0 -1.13\nO 1.13 0 0.53\nO -1.13 0 0.53\n"
    files = [{"content": far}, {"content": formate}]

    async def talk() -> tuple[Any, str]:
        async with mcp.Client(f"http://127.0.0.1:{service.port}/mcp") as client:
            asked = {"structures": files, "allow_odd_electrons": True}
            answer = (await client.call_tool("predict", asked)).structured_content
            file = await client.read_resource(f"equipot://answers/{answer['answer_id']}")
            return answer, file.contents[0].text

    answer, text = asyncio.run(talk())
    assert [row["charge"] for row in answer["rows"]] == [-1, -1]
    codes = answer["rows"][0]["warnings"]
    assert len(codes) > len(set(codes)) > 1, answer
    assert all(": 1 of 2, first: " in told for told in answer["warnings"])
    doubtful, sound = (ase.io.read(io.StringIO(text), index=n, format="extxyz") for n in (0, 1))
    assert doubtful.info["charge"] == sound.info["charge"] == -1
    assert doubtful.info["model"] == answer["model"]
    assert doubtful.info["warnings"].startswith(f"{codes[0]}: ")
    assert "warnings" not in sound.info


def test_files_of_the_service_are_not_its_callers(service: Running) -> None:
    water = {"content": "3\nx\nO 0 0 0.1\nH 0 0.76 -0.48\nH 0 -0.76 -0.48\n"}
    answers = called(
        service,
        ("predict", {"structures": [{"path": "/etc/hostname"}]}),
        ("submit_job", {"structures": [{"path": "/etc/hostname"}]}),
        ("results", {"id": "answer-x", "output_file": "/tmp/equipot"}),
        ("predict", {"structures": [water]}),
    )
    assert [answer.is_error for answer in answers] == [True, True, True, False]
    for answer in answers[:3]:
        assert "over stdio only" in answer.content[0].text


def test_nobody_waits_for_what_is_not_sent(service: Running) -> None:
    reply = service.client.get("/mcp", headers={"Accept": "text/event-stream"})
    assert reply.status_code == 405
    assert reply.json()["error"]["code"] == "method_not_allowed"


def test_pages_of_other_origins_may_not_ask(service: Running) -> None:
    reply = service.client.post("/mcp", json={}, headers={"Origin": "http://other.example"})
    assert reply.status_code == 403
    assert "EQUIPOT_CORS_ORIGINS" in reply.json()["error"]["message"]


def test_it_is_there_only_where_it_is_wanted(pair_store: Path) -> None:
    with running(pair_store) as service:
        assert service.client.post("/mcp", json={}).status_code == 404


def test_what_it_needs_is_told(pair_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server.transport_security", None)
    with pytest.raises(InvalidRequest, match=r"pip install 'equipot\[mcp\]'"):
        create_app(Settings(model_store=pair_store, default_model="pairs", mcp=True))


def test_models_are_listed_with_their_aliases(tmp_path: Path) -> None:
    deployment, shares = tmp_path / "deployment.json", {"lennard-jones@1": 100.0}
    deployment.write_text(json.dumps({"aliases": {"noble": {"shares": shares}}}))
    argon = {"content": "2\nx\nAr 0 0 0\nAr 0 0 3.8\n"}
    with running(
        MODEL_STORE, default_model="lennard-jones", mcp=True, deployment_file=deployment
    ) as server:
        listed, answer = called(
            server, ("list_models", {}), ("predict", {"structures": [argon], "model": "noble"})
        )
    assert listed.structured_content["aliases"] == {"noble": shares}
    assert answer.structured_content["model"] == "lennard-jones@1"


def test_a_call_counts_once_for_its_key(tmp_path: Path) -> None:
    headers = issue(tmp_path / "keys.json", "one", "predict", concurrency=1, rate=2)
    asked = {"name": "list_models", "arguments": {}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": asked}
    headers |= {"Accept": "application/json, text/event-stream"}
    with running(
        MODEL_STORE, default_model="lennard-jones", mcp=True, api_keys_file=tmp_path / "keys.json"
    ) as server:
        for _ in range(2):
            answer = server.client.post("/mcp", json=message, headers=headers)
            assert answer.json()["result"]["isError"] is False
        assert server.client.post("/mcp", json=message, headers=headers).status_code == 429
