"""Formats in and out, over a real server: what goes in as a file comes out as one."""

import csv
import gzip
import io
import json
import select
import socket
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import ase.io
import httpx
import numpy as np
import ormsgpack
import pytest

from app.formats import cif, poscar, sdf
from app.formats.registry import FORMATS, WRITERS
from tests.api.server import ARGON, CRYSTAL, WATER, Running, running
from tests.formats.cif.test_reader import SALT
from tests.formats.pdb.lines import CO
from tests.formats.poscar.test_reader import ARGON as POSCAR
from tests.formats.sdf.test_reader import WATER as SDF
from tests.formats.test_gaussian import CATION
from tests.formats.test_mol2 import ACETATE

SLOW = "C" * 166
"""What RDKit makes 500 atoms of, in tens of seconds."""
needs_rdkit = pytest.mark.skipif(not find_spec("rdkit"), reason="RDKit is not installed")
BODIES = {
    "xyz": "2\nid=pair\nAr 0 0 0\nAr 0 0 3.9\n",
    "sdf": SDF,
    "pdb": CO,
    "cif": SALT.replace("Na", "Ar").replace("Cl", "Ne").replace("1+", "").replace("1-", ""),
    "poscar": POSCAR,
    "gaussian": CATION.replace("1 1\n", "0 1\n"),
    "mol2": ACETATE.replace("USER_CHARGES", "NO_CHARGES"),
}


def post(service: Running, media: str, body: str | bytes, url: str = "", **headers: str) -> Any:
    content = body.encode() if isinstance(body, str) else body
    return service.client.post(
        f"/predict{url}", content=content, headers={"content-type": media, **headers}
    )


def rows(response: httpx.Response) -> list[dict[str, str]]:
    assert response.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


@pytest.mark.parametrize("kind", BODIES)
def test_each_format_is_read_by_its_media_types_compressed_or_not(
    service: Running, kind: str
) -> None:
    for media in FORMATS[kind].media_types:
        for body in (BODIES[kind].encode(), gzip.compress(BODIES[kind].encode())):
            answer = post(
                service, media, body, "?allow_odd_electrons=true", accept="application/json"
            )
            (result,) = answer.json()["results"]
            assert result["status"] == "ok", result
            assert np.isfinite(result["energy"])
            assert ("structure" in result) == (kind != "xyz")


def test_every_format_is_tried() -> None:
    assert {*BODIES, "smiles"} == set(FORMATS)


def test_sdf_is_answered_with_its_bonds_names_and_fields(service: Running) -> None:
    response = post(service, "chemical/x-mdl-sdfile", SDF + SDF.replace("O  ", "Xe ", 1))
    assert response.headers["content-type"].startswith("chemical/x-mdl-sdfile")
    good, bad = sdf.parse(response.text)
    assert good.id == bad.id == "water"
    assert len(good.topology.bonds) == 2
    assert good.info["note"] == "1.0"
    assert float(good.info["energy"])
    assert len(good.info["forces"].split("\n")) == 3
    assert bad.info["code"] == "unsupported_element"
    assert len(bad.structure) == 3


def test_crystals_go_out_as_cif_and_poscar(service: Running) -> None:
    body = json.dumps({"structures": [CRYSTAL], "relax": {"cell": "isotropic"}})
    relaxed = post(service, "application/json", body).json()["results"][0]["relaxed"]
    for accept, parse in (("chemical/x-cif", cif.parse), ("chemical/x-poscar", poscar.parse)):
        answer = post(service, "application/json", body, accept=accept)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(accept)
        (frame,) = parse(answer.text)
        volume = abs(np.linalg.det(relaxed["cell"]))
        assert frame.structure.volume == pytest.approx(volume, rel=1e-9)
    assert ase.io.read(io.StringIO(answer.text), format="vasp").get_chemical_symbols() == ["Ar"]


def test_what_a_format_cannot_hold_is_refused(service: Running) -> None:
    pair, crystal = {**ARGON, "id": "pair"}, {**CRYSTAL, "id": "crystal"}
    both = json.dumps({"structures": [pair, crystal]})
    single = post(service, "application/json", both, "?format=poscar")
    assert (single.status_code, single.json()["error"]["code"]) == (422, "invalid_request")
    assert "holds one structure, and 2 are asked for" in single.json()["error"]["message"]
    alone = post(service, "application/json", json.dumps(ARGON), "?format=poscar")
    assert alone.status_code == 422
    assert "periodic" in alone.json()["error"]["message"]
    answer = post(service, "application/json", both, "?format=sdf").text
    assert [frame.id for frame in sdf.parse(answer)] == ["pair", "crystal"]
    assert "> <message>\nSDF holds molecules, without a cell" in answer
    forces = json.dumps({**ARGON, "properties": ["energy", "forces"]})
    told = post(service, "application/json", forces, "?format=csv").json()["error"]["message"]
    assert told == "format: csv holds no forces; ask for json or xyz"


def test_a_table_has_a_line_for_each_structure(service: Running) -> None:
    bad = {"symbols": ["Si"], "positions": [[0, 0, 0]], "id": "bad"}
    structures = [{**ARGON, "id": "pair"}, bad, WATER]
    body = {"structures": structures, "relax": {"fmax": 0.01}}
    first, second, third = rows(post(service, "application/json", json.dumps(body), "?format=csv"))
    assert (first["id"], first["formula"], first["converged"]) == ("pair", "Ar2", "true")
    assert float(first["fmax"]) < 0.01
    assert second["error"].startswith("unsupported_element: ")
    assert (third["id"], third["formula"]) == ("", "H2O")


def test_parquet(service: Running) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    response = post(service, "application/json", json.dumps(ARGON), "?format=parquet")
    (row,) = parquet.read_table(io.BytesIO(response.content)).to_pylist()
    assert (row["formula"], row["error"]) == ("Ar2", None)


def test_format_goes_before_accept_and_is_told_where_it_is_unknown(service: Running) -> None:
    body = json.dumps(ARGON)
    answer = post(service, "application/json", body, "?format=csv", accept="application/json")
    assert len(rows(answer)) == 1
    for url in ("?format=pdb", "?format=csv&format=xyz"):
        answer = post(service, "application/json", body, url)
        assert answer.status_code == 422
        assert "choose one of json, msgpack, lines, xyz, sdf" in answer.json()["error"]["message"]


def test_one_request_mixes_fields_and_files(service: Running) -> None:
    two = BODIES["xyz"] + BODIES["xyz"].replace("id=pair", "").replace("3.9", "3.8")
    structures = [
        {**ARGON, "id": "fields"},
        {"format": "sdf", "content": SDF, "id": "one"},
        {"format": "xyz", "content": two, "id": "two"},
        {"content": two},
        {"format": "cif", "content": "data_x\n", "id": "bad"},
        {"format": "doc", "content": "x"},
    ]
    results = service.predict({"structures": structures}).json()["results"]
    assert [(r["id"], r.get("item"), r["status"]) for r in results] == [
        ("fields", None, "ok"),
        ("one", 1, "ok"),
        ("two:pair", 2, "ok"),
        ("two:1", 2, "ok"),
        ("pair", 3, "ok"),
        (None, 3, "ok"),
        ("bad", 4, "error"),
        (None, 5, "error"),
    ]
    assert results[1]["structure"]["symbols"] == ["O", "H", "H"]
    assert all(("structure" in r) == (r.get("item") is not None) for r in results[:6])
    assert results[2]["energy"] == results[0]["energy"]
    assert "known are sdf, xyz" in results[-1]["error"]["message"]


def test_msgpack_mixes_them_too(service: Running) -> None:
    body = {"structures": [ARGON, {"content": SDF.encode()}], "properties": ["energy"]}
    answer = post(service, "application/x-msgpack", ormsgpack.packb(body))
    first, second = ormsgpack.unpackb(answer.content)["results"]
    assert "structure" not in first
    assert second["structure"]["positions"]["shape"] == [3, 3]


class TestLimits:
    def test_structures_of_all_files_count(self, service: Running) -> None:
        frames = BODIES["xyz"] * 11
        for body in ([{"content": frames}, {"content": frames}], [{"content": frames * 2}]):
            answer = service.predict({"structures": body})
            assert answer.status_code == 413
            assert "more than 20 structures" in answer.json()["error"]["message"]

    def test_atoms_and_lines_count(self, service: Running) -> None:
        large = "400\n\n" + "".join(f"Ar {4 * i} 0 0\n" for i in range(400))
        assert service.predict({"structures": [{"content": large}] * 2}).status_code == 200
        answer = service.predict({"structures": [{"content": large}] * 3})
        assert "1200 atoms; at most 1000" in answer.json()["error"]["message"]
        answer = service.predict({"structures": [{"format": "sdf", "content": "\n" * 10_000}]})
        assert answer.status_code == 413

    def test_a_compressed_file_counts_by_what_it_holds(self, service: Running) -> None:
        answer = post(service, "chemical/x-xyz", gzip.compress(b" " * 300_000))
        assert answer.status_code == 413
        assert "max_body_bytes" in answer.json()["error"]["message"]
        files = [("file", (f"{i}.xyz.gz", gzip.compress(b" " * 150_000))) for i in range(2)]
        assert service.client.post("/predict", files=files).status_code == 413

    @needs_rdkit
    def test_conformers_count(self, service: Running) -> None:
        def told(*structures: Any) -> Any:
            answer = service.predict({"structures": list(structures)})
            return answer.status_code, answer.text

        status, text = told({"smiles": "C", "conformers": 101})
        assert status == 422
        assert "at most 100 are allowed (max_conformers)" in text
        status, text = told({"smiles": "C", "conformers": 15}, {"smiles": "C", "conformers": 15})
        assert status == 413
        assert "more than 20 structures" in text

    @pytest.mark.parametrize("name", ["conformers", "seed"])
    def test_of_geometries_that_are_not_made_nothing_is_said(
        self, service: Running, name: str
    ) -> None:
        told = f"{name}: is for SMILES, whose geometries are made here, and not for xyz; leave it"
        for media in ("chemical/x-xyz", "chemical/x-mdl-sdfile"):
            answer = post(service, media, BODIES["xyz" if "xyz" in media else "sdf"], f"?{name}=2")
            assert answer.status_code == 422
            assert f"{name}: is for SMILES" in answer.json()["error"]["message"]
        file = {"file": ("pair.xyz", BODIES["xyz"])}
        answer = service.client.post("/predict", data={name: "2"}, files=file)
        assert told in answer.json()["error"]["message"]
        items = [{"format": "xyz", "content": BODIES["xyz"], name: 2}, ARGON]
        results = service.predict({"structures": items}).json()["results"]
        assert told in results[0]["error"]["message"]
        assert results[1]["status"] == "ok"

    @pytest.mark.parametrize("path", ["models", "models/pairs", "v2/models/pairs", "jobs"])
    def test_a_query_that_nobody_reads_is_refused(self, service: Running, path: str) -> None:
        answer = service.client.get(f"/{path}?relax=true")
        assert answer.status_code in (400, 422)
        assert "query parameter 'relax' is unknown; " in answer.text


class TestUploads:
    def test_files_are_known_by_their_names_or_contents(self, service: Running) -> None:
        files = [
            ("file", ("water.sdf", SDF)),
            ("file", ("salt.cif.gz", gzip.compress(BODIES["cif"].encode()))),
            ("other", ("unnamed", POSCAR)),
            ("file", ("nonsense.txt", "nonsense")),
        ]
        answer = service.client.post("/predict?properties=energy", files=files)
        results = answer.json()["results"]
        assert [(r["item"], r["status"]) for r in results] == [
            *((n, "ok") for n in range(3)),
            (3, "error"),
        ]
        assert results[0]["id"] == "water"
        assert results[3]["id"] == "nonsense.txt"

    def test_other_fields_ask_as_a_query_does(self, service: Running) -> None:
        fields = {"fmax": "0.01", "model": "pairs@1", "input_format": "xyz"}
        files = {"file": ("pair.dat", BODIES["xyz"])}
        answer = service.client.post("/predict?format=csv", data=fields, files=files)
        (row,) = rows(answer)
        assert row["converged"] == "true"
        assert answer.headers["x-equipot-model"].startswith("pairs@1")

    def test_a_field_says_how_to_answer(self, service: Running) -> None:
        files = {"file": ("pair.xyz", BODIES["xyz"])}
        (row,) = rows(service.client.post("/predict", data={"format": "csv"}, files=files))
        assert row["id"] == "pair"
        for url, kind in (("/predict", "docx"), ("/predict?format=json", "csv")):
            refused = service.client.post(url, data={"format": kind}, files=files)
            assert refused.status_code == 422
            assert "choose one of" in refused.json()["error"]["message"]

    @pytest.mark.parametrize(
        ("body", "told"),
        [
            (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n', "no file"),
            (
                b'--x\r\nContent-Disposition: form-data; name="a"; filename="a.xyz"\r\n\r\n1\n',
                "truncated",
            ),
            (b"nonsense", "no multipart/form-data"),
            (b"--x\r\n" + b"A: b\r\n" * 20_000 + b"\r\n--x--\r\n", "no multipart/form-data"),
        ],
        ids=["no file", "torn", "nonsense", "headers"],
    )
    def test_what_is_no_form_is_refused(self, service: Running, body: bytes, told: str) -> None:
        answer = post(service, "multipart/form-data; boundary=x", body)
        assert answer.status_code == 422
        assert told in answer.json()["error"]["message"]

    def test_a_boundary_that_is_too_long(self, service: Running) -> None:
        answer = post(service, f"multipart/form-data; boundary={'b' * 300}", b"x")
        assert answer.status_code == 422
        assert answer.json()["error"]["code"] == "invalid_format"

    def test_a_form_without_boundary_or_with_too_many_parts(self, service: Running) -> None:
        assert post(service, "multipart/form-data", b"").status_code == 415
        part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n'
        answer = post(service, "multipart/form-data; boundary=x", part * 1500 + b"--x--\r\n")
        assert "more than 1024 parts" in answer.json()["error"]["message"]


@needs_rdkit
class TestSmiles:
    def test_conformers_have_their_own_results(self, service: Running) -> None:
        structures = [{"smiles": "CC(=O)O", "conformers": 2, "id": "acid"}, {"smiles": "C"}]
        body = {"structures": [*structures, {"smiles": "CC("}, ARGON]}
        results = service.predict(body).json()["results"]
        assert [(r["id"], r["status"]) for r in results] == [
            ("acid:0", "ok"),
            ("acid:1", "ok"),
            ("C", "ok"),
            ("CC(", "error"),
            (None, "ok"),
        ]
        assert results[0]["structure"]["symbols"] == ["C", "C", "O", "O", "H", "H", "H", "H"]
        assert results[0]["energy"] != results[1]["energy"]
        assert [r.get("item") for r in results] == [0, 0, 1, 2, None]

    def test_alone_in_a_body_and_as_a_file(self, service: Running) -> None:
        (alone,) = service.predict({"smiles": "CO", "seed": 3}).json()["results"]
        url = "?seed=3&conformers=1&format=sdf"
        answer = post(service, "chemical/x-daylight-smiles", "CO methanol\n", url)
        (frame,) = sdf.parse(answer.text)
        assert frame.id == "methanol"
        assert float(frame.info["energy"]) == pytest.approx(alone["energy"], abs=1e-9)
        assert (frame.info["smiles"], frame.info["seed"]) == ("CO", "3")

    def test_formal_charges_count(self, service: Running) -> None:
        answer = service.predict({"smiles": "CC(=O)[O-]"})
        assert answer.status_code == 422
        assert answer.json()["error"]["code"] == "unsupported_charge"

    def test_what_it_leaves_open_is_a_warning(self, service: Running) -> None:
        (result,) = service.predict({"smiles": "FC=CO", "model": "pairs"}).json()["results"]
        assert result["status"] == "error"  # fluorine
        (result,) = service.predict({"smiles": "CC(O)N"}).json()["results"]
        assert [warning["code"] for warning in result["warnings"]] == ["stereo_chosen"]


@needs_rdkit
def test_slow_smiles_hold_up_nobody(service: Running) -> None:
    body = b'{"smiles": "%s"}' % SLOW.encode()
    head = b"POST /predict HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n"
    with ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            for _ in range(4)
        ]
        for each in slow:
            each.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        for _ in range(3):
            assert service.predict({"smiles": "C"}).json()["results"][0]["status"] == "ok"
        assert select.select(slow, [], [], 0)[0] == []


@needs_rdkit
def test_a_smiles_that_takes_too_long_fails_alone(pair_store: Path) -> None:
    structures = [{"smiles": "C"}, {"smiles": SLOW}, {"smiles": "CC"}]
    with running(pair_store, embed_seconds=1.0) as server:
        results = server.predict({"structures": structures}).json()["results"]
    assert [result["status"] for result in results] == ["ok", "error", "ok"]
    assert results[1]["error"]["code"] == "too_large"
    assert "no 1 conformer within 1 s" in results[1]["error"]["message"]
    assert "embed_seconds" in results[1]["error"]["message"]


def test_every_written_format_has_a_reader_of_its_media_type(service: Running) -> None:
    for kind, written in WRITERS.items():
        body = json.dumps(CRYSTAL if kind == "poscar" else ARGON)
        answer = post(service, "application/json", body, accept=written.media_type)
        assert answer.headers["content-type"].partition(";")[0] == written.media_type
