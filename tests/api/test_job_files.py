"""Jobs of files: every format, compressed or not, several in a form, and lines of JSON."""

import bz2
import gzip
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.formats.registry import FORMATS, WRITERS
from tests.api.server import ARGON, Running, running
from tests.api.test_formats import BODIES, SDF
from tests.api.test_jobs import ended
from tests.paths import MODEL_STORE

RECORD = SDF.rstrip().removesuffix("$$$$").rstrip() + "\n$$$$\n"


@pytest.fixture(scope="module")
def service(pair_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that takes jobs."""
    folder = tmp_path_factory.mktemp("jobs")
    with running(pair_store, jobs_folder=folder, max_job_bytes=1_000_000) as server:
        yield server


def results(service: Running, job: str) -> list[dict[str, Any]]:
    answer = service.client.get(f"/jobs/{job}/results", params={"format": "json"}).json()
    found: list[dict[str, Any]] = answer["results"]
    return found


def submitted(service: Running, **given: Any) -> dict[str, Any]:
    answer = service.client.post("/jobs", **given)
    assert answer.status_code == 202, answer.text
    return ended(service, answer.json()["id"])


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_each_format_is_answered_as_a_request_is(
    service: Running, kind: str, compress: Any
) -> None:
    media, body = FORMATS[kind].media_types[0], BODIES[kind].encode()
    asked: dict[str, Any] = {"params": {"allow_odd_electrons": "true"}}
    headers = {"content-type": media, "accept": "application/json"}
    job = submitted(service, **asked, content=compress(body), headers=headers)
    assert (job["done"], job["failed"]) == (1, 0)
    direct = service.client.post("/predict", **asked, content=body, headers=headers).json()
    assert results(service, job["id"]) == direct["results"]
    kept = service.client.get(f"/jobs/{job['id']}/results").headers["content-type"]
    same = kind in WRITERS and kind in ("xyz", "sdf")
    assert kept.partition(";")[0] == (WRITERS[kind].media_type if same else "application/json")


def test_lines_of_json_have_the_number_of_their_line(service: Running) -> None:
    lines = [orjson.dumps(ARGON), b"", b"no json", orjson.dumps({"content": BODIES["xyz"] * 2})]
    headers = {"content-type": "application/x-ndjson"}
    job = submitted(service, params={"fmax": "0.1"}, content=b"\n".join(lines), headers=headers)
    assert (job["done"], job["failed"], job["structures"]) == (3, 1, 4)
    found = results(service, job["id"])
    assert [(r["item"], r["status"]) for r in found] == [
        (0, "ok"),
        (2, "error"),
        (3, "ok"),
        (3, "ok"),
    ]
    assert all("relaxed" in result for result in found if result["status"] == "ok")
    answer = service.client.get(f"/jobs/{job['id']}/results")
    assert answer.headers["content-type"].startswith("application/x-ndjson")


def test_the_files_of_a_form(service: Running) -> None:
    files = [
        ("file", ("water.sdf.gz", gzip.compress(RECORD.encode() * 300))),
        ("file", ("nonsense.txt", "nonsense")),
        ("file", ("pair", BODIES["xyz"])),
    ]
    fields = {"properties": "energy", "model": "pairs@1"}
    key = {"Idempotency-Key": "form"}
    job = submitted(service, files=files, data=fields, headers=key)
    assert (job["done"], job["failed"], job["structures"]) == (301, 1, 302)
    found = results(service, job["id"])
    assert [r["item"] for r in found] == [*[0] * 300, 1, 2]
    assert found[0].keys() >= {"id", "energy", "structure"}
    assert "forces" not in found[0]
    assert (found[300]["id"], found[300]["error"]["code"]) == ("nonsense.txt", "invalid_format")
    again = service.client.post("/jobs", files=files, data=fields, headers=key)
    assert again.json()["id"] == job["id"], "whatever stands between the parts"
    other = service.client.post("/jobs", files=files[:1], data=fields, headers=key)
    assert other.status_code == 409


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"files": {"file": ("a.txt", "nonsense")}}, "no format that is known"),
        ({"files": {"file": ("a.xyz", "")}}, "the file is empty"),
        ({"files": {"file": ("a.xyz", BODIES["xyz"])}, "data": {"fmx": "1"}}, "'fmx' is unknown"),
        ({"files": {"file": ("a.xyz", gzip.compress(bytes(2_000_000)))}}, "max_job_bytes"),
        (
            {
                "content": gzip.compress(SDF.encode())[:-9],
                "headers": {"content-type": "chemical/x-mdl-sdfile"},
            },
            "ends too early",
        ),
        (
            {"params": {"conformers": "2"}, "files": {"a": ("a.xyz", BODIES["xyz"])}},
            "is for SMILES",
        ),
        (
            {
                "params": {"seed": "2"},
                "content": BODIES["xyz"],
                "headers": {"content-type": "chemical/x-xyz"},
            },
            "seed: is for SMILES",
        ),
        ({"json": {"schema_name": "qcschema_input", "model": {}}}, "schema_name: documents of"),
        ({"content": "nothing", "headers": {"content-type": "chemical/x-cif"}}, "no structures"),
        (
            {"content": "bad\n\n\nbad\n", "headers": {"content-type": "chemical/x-mdl-molfile"}},
            "no molfile",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_at_once(
    service: Running, given: dict[str, Any], told: str
) -> None:
    answer = service.client.post("/jobs", **given)
    assert answer.status_code in (413, 422), answer.text
    assert told in answer.json()["error"]["message"]


def test_smiles_have_conformers(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    with running(MODEL_STORE, default_model="organic-xtb", jobs_folder=tmp_path) as server:
        headers = {"content-type": "chemical/x-daylight-smiles"}
        text = "smiles\nCCO ethanol\n# none\nC1CC bad\nO\n"
        job = submitted(server, params={"conformers": "2"}, content=text, headers=headers)
        assert (job["done"], job["failed"]) == (4, 1)
        files = {"a": ("a.smi", "CO\n"), "b": ("b.xyz", BODIES["xyz"])}
        mixed = submitted(server, data={"conformers": "2"}, files=files)
        assert (mixed["done"], mixed["failed"]) == (2, 1)  # two of methanol, and argon
        found = results(server, job["id"])
    assert [r["id"] for r in found] == ["ethanol:0", "ethanol:1", "bad", "O:0", "O:1"]
    assert found[2]["error"]["message"].startswith("line 4: 'C1CC': no SMILES")
