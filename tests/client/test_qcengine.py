"""A service as a program of QCEngine."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr, Ha

from equipot import EquipotCalculator
from tests.api.server import Running
from tests.client.conftest import url
from tests.paths import MODEL_STORE

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    qcengine = pytest.importorskip("qcengine", exc_type=ImportError)
    from qcelemental.models import v1, v2
    from qcengine.programs import unregister_program

    from equipot.qcengine import register

WATER = {"symbols": ["O", "H", "H"], "geometry": [0.0, 0.0, 0.2, 0.0, 1.5, -0.9, 0.0, -1.4, -0.9]}


@pytest.fixture
def program(bundled: Running) -> Iterator[str]:
    name = register(url(bundled)).name
    yield name
    unregister_program(name)


def asked(version: int, driver: str = "gradient", **molecule: Any) -> Any:
    what = {"driver": driver, "model": {"method": "organic-xtb"}}
    if version == 1:
        return v1.AtomicInput(molecule=v1.Molecule(**(WATER | molecule)), **what)
    return v2.AtomicInput(molecule=v2.Molecule(**(WATER | molecule)), specification=what)


@pytest.mark.parametrize("version", [1, 2])
def test_gradients_are_those_of_the_calculator(program: str, version: int) -> None:
    result = qcengine.compute(asked(version), program, raise_error=True)
    water = Atoms("OH2", np.reshape(WATER["geometry"], (3, 3)) * Bohr)
    water.calc = EquipotCalculator("organic-xtb", MODEL_STORE, threads=1)
    assert result.success
    assert isinstance(result, (v1 if version == 1 else v2).AtomicResult)
    np.testing.assert_allclose(result.return_result, -water.get_forces() * Bohr / Ha, atol=2e-6)


def test_what_cannot_be_answered_fails_with_the_reason(program: str) -> None:
    failed = qcengine.compute(asked(2, symbols=["Hg"], geometry=[0, 0, 0]), program)
    assert not failed.success
    assert failed.error.error_type == "input_error"
    assert "Hg" in failed.error.error_message
    assert failed.error.extras["code"] == "unsupported_element"
    assert (
        "hessian is not computed"
        in qcengine.compute(asked(2, "hessian"), program).error.error_message
    )


@pytest.mark.filterwarnings("ignore")
def test_geometric_relaxes_with_it(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("geometric")
    monkeypatch.chdir(tmp_path)  # geomeTRIC writes its path there
    specification = {"driver": "gradient", "model": {"method": "organic-xtb"}}
    job = v1.OptimizationInput(
        initial_molecule=v1.Molecule(**WATER),
        input_specification=specification,
        keywords={"program": program},
    )
    result = qcengine.compute_procedure(job, "geometric", raise_error=True)
    assert result.success
    assert result.energies[-1] < result.energies[0] - 1e-4
    water = Atoms("OH2", result.final_molecule.geometry * Bohr)
    water.calc = EquipotCalculator("organic-xtb", MODEL_STORE, threads=1)
    assert np.abs(water.get_forces()).max() < 0.02


def test_a_service_that_is_not_there_is_told() -> None:
    with pytest.raises(ValueError, match="url"):
        register("localhost:8000")
