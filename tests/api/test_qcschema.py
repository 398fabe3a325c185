"""AtomicInputs of QCSchema, checked with QCElemental's own models of both versions."""

import json
import warnings
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr, Ha

from equipot import EquipotCalculator
from tests.api.server import Running
from tests.paths import MODEL_STORE

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    models = pytest.importorskip("qcelemental.models", exc_type=ImportError)

VERSIONS = [1, 2]
WATER = {"symbols": ["O", "H", "H"], "geometry": [0.0, 0.0, 0.2, 0.0, 1.5, -0.9, 0.0, -1.4, -0.9]}
"""Distorted; bohr."""


def document(
    version: int,
    driver: str = "gradient",
    method: str = "organic-xtb",
    keywords: dict[str, Any] | None = None,
    **molecule: Any,
) -> dict[str, Any]:
    """An AtomicInput as QCElemental writes it."""
    known = models.v1 if version == 1 else models.v2
    atoms = known.Molecule(**(WATER | molecule))
    what = {"driver": driver, "model": {"method": method}, "keywords": keywords or {}}
    given = what if version == 1 else {"specification": what}
    return json.loads(known.AtomicInput(molecule=atoms, id="one", **given).serialize("json"))


def result_of(version: int, answer: Any) -> Any:
    return (models.v1 if version == 1 else models.v2).AtomicResult(**answer)


def failed(version: int, answer: Any) -> Any:
    return (models.v1 if version == 1 else models.v2).FailedOperation(**answer)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("driver", ["energy", "gradient"])
def test_the_numbers_are_those_of_the_calculator(
    bundled: Running, version: int, driver: str
) -> None:
    reply = bundled.predict(document(version, driver))
    assert reply.status_code == 200
    assert reply.headers["x-equipot-model"].startswith("organic-xtb@")
    found = result_of(version, reply.json())
    water = Atoms("OH2", np.reshape(WATER["geometry"], (3, 3)) * Bohr)
    water.calc = EquipotCalculator("organic-xtb", MODEL_STORE, threads=1)
    assert found.success
    assert found.id == "one"
    assert found.properties.return_energy == pytest.approx(water.get_potential_energy() / Ha)
    assert found.properties.calcinfo_natom == 3
    assert found.provenance.routine.startswith("organic-xtb@")
    assert found.extras["equipot"]["energy_std_hartree"] > 0
    if driver == "energy":
        assert found.return_result == found.properties.return_energy
        assert found.properties.return_gradient is None
    else:
        expected = -water.get_forces() * Bohr / Ha
        np.testing.assert_allclose(found.return_result, expected, atol=2e-6)
        np.testing.assert_array_equal(found.properties.return_gradient, found.return_result)


@pytest.mark.parametrize("version", VERSIONS)
def test_charge_and_multiplicity_are_honoured(bundled: Running, version: int) -> None:
    hydroxide = {"symbols": ["O", "H"], "geometry": [0, 0, 0, 0, 0, 1.83]}
    ion = bundled.predict(document(version, "energy", **hydroxide, molecular_charge=-1))
    assert result_of(version, ion.json()).success
    triplet = bundled.predict(document(version, "energy", molecular_multiplicity=3))
    assert triplet.status_code == 422
    told = failed(version, triplet.json())
    assert told.error.error_type == "input_error"
    assert told.error.extras["code"] == "unsupported_charge"
    assert "multiplicity 3" in told.error.error_message


@pytest.mark.parametrize("version", VERSIONS)
def test_radicals_are_answered_where_a_keyword_says_so(bundled: Running, version: int) -> None:
    radical = {"symbols": ["O", "H"], "geometry": [0, 0, 0, 0, 0, 1.83]}
    assert bundled.predict(document(version, **radical)).status_code == 422
    answer = bundled.predict(
        document(version, **radical, keywords={"allow_odd_electrons": True})
    ).json()
    doubts = result_of(version, answer).extras["equipot"]["warnings"]
    assert "odd_electrons" in [doubt["code"] for doubt in doubts]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("asked", "status", "told"),
    [
        ({"driver": "hessian"}, 422, "driver: hessian is not computed"),
        ({"driver": "properties"}, 422, "driver: properties is not computed"),
        ({"method": "nothing"}, 404, "nothing"),
        ({"keywords": {"maxiter": 5}}, 422, "maxiter: unknown field; known are strict"),
        ({"symbols": ["Hg"], "geometry": [0, 0, 0]}, 422, "Hg"),
        ({"geometry": [0.0] * 9, "validate": False}, 422, "0 Å apart"),
        ({"real": [True, True, False]}, 422, "atom 2 is a ghost"),
        ({"molecular_charge": 0.5, "molecular_multiplicity": 1, "validate": False}, 422, "0.5"),
    ],
)
def test_failures_are_documents_of_the_schema(
    bundled: Running, version: int, asked: dict[str, Any], status: int, told: str
) -> None:
    given = document(version, **asked)
    reply = bundled.predict(given)
    assert reply.status_code == status
    error = failed(version, reply.json())
    assert not error.success
    assert error.id == "one"
    assert error.input_data == given
    assert told in error.error.error_message


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": {"method": "organic-xtb", "basis": "sto-3g"}}, "models have no basis sets"),
        ({"protocols": {"wavefunction": "all"}}, "protocols.wavefunction"),
        ({"unheard": 1}, "unheard: unknown field"),
        ({"molecule": {**WATER, "cell": []}}, "molecule.cell: unknown field"),
        ({"molecule": {**WATER, "fragment_charges": [1.0, 1.0]}}, "add up to 2, but molecular"),
        ({"molecule": {**WATER, "geometry": [0.0] * 8}}, "expected 9 numbers in bohr"),
        ({"molecule": {**WATER, "geometry": ["0"] * 9}}, "expected 9 numbers in bohr"),
        ({"molecule": {**WATER, "geometry": [[0.0], 1.0]}}, "expected 9 numbers in bohr"),
        ({"molecule": {**WATER, "atomic_numbers": [8, 1, 6]}}, "not those of the symbols"),
        ({"molecule": None}, "molecule: must be an object"),
        ({"schema_version": 2}, "schema_version"),
    ],
)
def test_what_a_document_says_wrong_is_named(
    bundled: Running, change: dict[str, Any], told: str
) -> None:
    reply = bundled.predict(document(1) | change)
    assert reply.status_code == 422
    assert told in failed(1, reply.json()).error.error_message


def test_rows_of_three_are_a_geometry_too(bundled: Running) -> None:
    given = document(1)
    rows = np.reshape(WATER["geometry"], (3, 3)).tolist()
    nested = given | {"molecule": {**given["molecule"], "geometry": rows}}
    answers = [bundled.predict(each).json()["return_result"] for each in (given, nested)]
    np.testing.assert_array_equal(*answers)


def test_another_program_is_told_to_be_one(bundled: Running) -> None:
    given = document(2)
    given["specification"]["program"] = "psi4"
    reply = bundled.predict(given)
    assert "'psi4'; this is equipot" in reply.json()["error"]["error_message"]


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("qcschema_optimization_input", {}, "'qcschema_optimization_input' is not answered"),
        ("qcschema_input", {"params": {"strict": "true"}}, "put them into keywords"),
        ("qcschema_input", {"params": {"format": "xyz"}}, "a document of QCSchema is JSON"),
        ("qcschema_input", {"headers": {"accept": "text/event-stream"}}, "by POST /predict alone"),
        ("qcschema_input", {"params": {"format": "lines"}}, "by POST /predict alone"),
    ],
)
def test_what_is_no_calculation_is_an_error_as_any(
    bundled: Running, name: str, options: dict[str, Any], told: str
) -> None:
    reply = bundled.predict(document(1) | {"schema_name": name}, **options)
    assert reply.status_code == 422
    assert told in reply.json()["error"]["message"]


def test_a_length_is_in_no_unit_that_was_not_sent(bundled: Running) -> None:
    told = bundled.predict(document(1, geometry=[0.0] * 9, validate=False)).json()["error"]
    assert told["error_message"].endswith("check the cell and the unit of lengths")


def test_a_structure_may_be_called_like_the_schema(bundled: Running) -> None:
    water = {"symbols": ["O"], "positions": [[0, 0, 0]], "id": '"schema_name"'}
    reply = bundled.predict(water)
    assert reply.json()["results"][0]["id"] == '"schema_name"'


def test_the_models_of_the_schema_are_not_imported(bundled: Running) -> None:
    from app.protocol.qcschema import answer, ask, schemas

    for module in (answer, ask, schemas):
        assert not any(name.startswith("qcel") for name in vars(module))
