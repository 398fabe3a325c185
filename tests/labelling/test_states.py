"""Charge and multiplicity of a frame reach the calculator, or the frame has no label."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.io import read, write

from app.errors import InvalidStructure
from app.labelling.label import Reference, label
from app.labelling.output import failures_path
from app.labelling.states import StateSetter
from tests.labelling.frames import argon
from tests.labelling.odd_calculators import Charged, OtherNames

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _odd_calculators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))


def charged(charge: object) -> Atoms:
    atoms = argon(0)
    atoms.info["charge"] = charge
    return atoms


def test_each_frame_is_labelled_with_its_own_charge(tmp_path: Path) -> None:
    write(tmp_path / "in.xyz", [charged(charge) for charge in (0, 1, -2, 0)] + [argon(0)])
    label([tmp_path / "in.xyz"], tmp_path / "out.xyz", Reference("odd_calculators:Charged"))
    frames = read(tmp_path / "out.xyz", index=":")
    energies = np.array([frame.get_potential_energy() for frame in frames])
    np.testing.assert_allclose(energies - energies[0], [0, 10, -20, 0, 0], atol=1e-9)
    assert [frame.info.get("charge") for frame in frames] == [0, 1, -2, 0, None]


def test_initial_charges_state_a_charge(tmp_path: Path) -> None:
    atoms = argon(0)
    atoms.set_initial_charges([0.3, 0.3, 0.4])
    calculator = Charged()
    StateSetter(calculator, {})(atoms)
    assert calculator.parameters["charge"] == 1


def test_a_multiplicity_is_set_like_a_charge() -> None:
    atoms, calculator = argon(0), Charged()
    atoms.info["multiplicity"] = 3
    StateSetter(calculator, {})(atoms)
    assert calculator.parameters["multiplicity"] == 3


def test_what_a_frame_does_not_state_is_as_the_calculator_was_built() -> None:
    calculator = Charged(charge=2)
    setter = StateSetter(calculator, {"charge": 2})
    setter(argon(0))
    assert calculator.parameters["charge"] == 2
    setter(charged(2))
    assert calculator.parameters["charge"] == 2


def test_a_charge_other_than_that_of_the_options_is_refused() -> None:
    with pytest.raises(ValueError, match=r"frame states charge 1, .* options 2: leave charge out"):
        StateSetter(Charged(charge=2), {"charge": 2})(charged(1))


def test_defaults_of_a_calculator_give_way_and_come_back() -> None:
    """As those of ASE's ORCA, which calls the multiplicity `mult`."""
    calculator = OtherNames()
    setter = StateSetter(calculator, {})
    atoms = charged(-1)
    atoms.info["multiplicity"] = 2
    setter(atoms)
    assert (calculator.parameters["charge"], calculator.parameters["mult"]) == (-1, 2)
    setter(argon(0))
    assert (calculator.parameters["charge"], calculator.parameters["mult"]) == (0, 1)


def test_a_charge_that_a_calculator_cannot_take_is_refused() -> None:
    setter = StateSetter(LennardJones(), {})
    setter(charged(0))
    with pytest.raises(ValueError, match=r"frame states charge -1, .* no parameter charge"):
        setter(charged(-1))


def test_a_charge_that_is_no_whole_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidStructure, match=r"0\.5"):
        StateSetter(Charged(), {})(charged(0.5))
    write(tmp_path / "in.xyz", [charged(0.5), charged(1)])
    summary = label(
        [tmp_path / "in.xyz"], tmp_path / "out.xyz", Reference("odd_calculators:Charged")
    )
    assert (summary.labelled, summary.failed) == (1, 1)
    (failure,) = map(json.loads, failures_path(tmp_path / "out.xyz").read_text().splitlines())
    assert failure["frame"] == 0
    assert "0.5" in failure["reason"]


def methyl(charge: int) -> Atoms:
    positions = [[0, 0, 0.1], [1.08, 0, 0], [-0.54, 0.935, 0], [-0.54, -0.935, 0]]
    return Atoms("CH3", positions, info={"charge": charge})


def fluoride(charge: int) -> Atoms:
    numbers = "HF" if charge == 0 else "F"
    return Atoms(numbers, [[0, 0, 0], [0, 0, 0.92]][: len(numbers)], info={"charge": charge})


def test_gfn2_tells_a_cation_from_an_anion(tmp_path: Path) -> None:
    pytest.importorskip("tblite")
    frames = [methyl(1), methyl(-1), fluoride(0), fluoride(-1), methyl(1)]
    write(tmp_path / "in.xyz", frames)
    options = {"method": "GFN2-xTB", "verbosity": 0, "cache_api": False}
    label([tmp_path / "in.xyz"], tmp_path / "out.xyz", Reference("tblite.ase:TBLite", options))
    energies = [f.get_potential_energy() for f in read(tmp_path / "out.xyz", index=":")]
    assert energies[0] - energies[1] > 10  # eV, what two electrons are worth here
    assert energies[4] == pytest.approx(energies[0], abs=1e-9)
    # eV; GFN2 gives 8.5, the energy that it ascribes to a bare proton (6.2) is not in it
    assert 5 < energies[3] - energies[2] < 15
