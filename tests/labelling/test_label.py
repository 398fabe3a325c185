"""Labels of a reference calculator, run after run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io import read, write

from app.cli.main import main
from app.errors import InvalidFormat, InvalidRequest, TrainingError
from app.labelling.label import Reference, Summary, label
from app.labelling.output import failures_path, run_path
from tests.labelling.frames import argon

HERE = Path(__file__).parent
LJ = Reference("ase.calculators.lj:LennardJones", {"sigma": 1.0, "rc": 5.0})
ODD = "odd_calculators:Odd"


@pytest.fixture(autouse=True)
def _odd_calculators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write(tmp_path / "in.xyz", [argon(index) for index in range(12)])
    return tmp_path / "in.xyz"


def failures(output: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in failures_path(output).read_text().splitlines()]


def odd_source(tmp_path: Path, *doings: str) -> Path:
    write(tmp_path / "odd.xyz", [argon(index, do) for index, do in enumerate(doings)])
    return tmp_path / "odd.xyz"


def test_labels_are_those_of_the_calculator_in_the_order_of_the_input(
    source: Path, tmp_path: Path
) -> None:
    output = tmp_path / "new" / "out.xyz"
    assert label([source], output, LJ, processes=2) == Summary(labelled=12, failed=0)
    frames = read(output, index=":")
    assert [frame.info["name"] for frame in frames] == [f"frame {index}" for index in range(12)]
    for frame in frames:
        expected = frame.copy()
        expected.calc = LennardJones(**LJ.options)
        assert frame.get_potential_energy() == pytest.approx(
            expected.get_potential_energy(), abs=1e-12
        )
        np.testing.assert_allclose(frame.get_forces(), expected.get_forces(), atol=1e-8)
    assert failures(output) == []


def test_info_and_arrays_are_kept_and_earlier_labels_are_not(tmp_path: Path) -> None:
    atoms = molecule("H2O")
    atoms.info |= {"molecule": "O", "temperature": 300.0}
    atoms.set_array("charge_guess", np.array([-0.8, 0.4, 0.4]))
    atoms.set_constraint(FixAtoms([0]))
    atoms.calc = SinglePointCalculator(
        atoms, energy=-1.0, forces=np.ones((3, 3)), dipole=np.ones(3)
    )
    write(tmp_path / "in.xyz", atoms)
    label([tmp_path / "in.xyz"], tmp_path / "out.xyz", Reference("ase.calculators.emt:EMT"))
    frame = read(tmp_path / "out.xyz")
    atoms.constraints = []
    atoms.calc = EMT()
    assert (frame.info["molecule"], frame.info["temperature"]) == ("O", 300.0)
    np.testing.assert_allclose(frame.arrays["charge_guess"], [-0.8, 0.4, 0.4])
    np.testing.assert_allclose(
        frame.get_forces(apply_constraint=False), atoms.get_forces(), atol=1e-7
    )
    assert frame.get_potential_energy() == pytest.approx(atoms.get_potential_energy(), abs=1e-7)
    assert set(frame.calc.results) == {"energy", "forces"}


def test_several_files_of_any_format_and_stress(tmp_path: Path) -> None:
    copper = bulk("Cu", cubic=True)
    copper.rattle(0.05, seed=1)
    write(tmp_path / "POSCAR", copper, format="vasp")
    write(tmp_path / "molecule.xyz", molecule("H2O"))
    write(tmp_path / "copper.cif", copper)
    emt = Reference("ase.calculators.emt:EMT", {}, ("energy", "forces", "stress"))
    sources = [tmp_path / name for name in ("POSCAR", "molecule.xyz", "copper.cif")]
    assert label(sources, tmp_path / "out.xyz", emt) == Summary(labelled=2, failed=1)
    copper.calc = EMT()
    for frame in read(tmp_path / "out.xyz", index=":"):
        np.testing.assert_allclose(frame.get_stress(), copper.get_stress(), atol=1e-6)
    (failure,) = failures(tmp_path / "out.xyz")
    assert (failure["file"], failure["frame"]) == (str(sources[1]), 0)
    assert "periodic in all three directions" in str(failure["reason"])


def test_a_bad_frame_costs_only_itself_and_is_listed(tmp_path: Path) -> None:
    source = odd_source(
        tmp_path, "nothing", "fail", "crash", "nothing", "wander", "hang", "explode", "nothing"
    )
    output = tmp_path / "out.xyz"
    summary = label([source], output, Reference(ODD), processes=2, timeout=1.0)
    assert summary == Summary(labelled=3, failed=5)
    assert [frame.info["name"] for frame in read(output, index=":")] == [
        "frame 0",
        "frame 3",
        "frame 7",
    ]
    reasons = {failure["frame"]: failure["reason"] for failure in failures(output)}
    assert list(reasons) == [1, 2, 4, 5, 6]
    assert reasons[1] == "CalculationFailed: the charges do not converge"
    assert reasons[2] == "the worker process died (exit code 9)"
    assert "did not converge" in reasons[4]
    assert reasons[5] == "no answer within 1 s"
    assert "forces is not finite" in reasons[6]


def test_workers_use_one_thread_and_a_finished_run_computes_nothing(
    source: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    odd = Reference(ODD, {"log": str(log)})
    before = dict(os.environ)
    for _ in range(2):
        assert label([source], tmp_path / "out.xyz", odd, processes=2) == Summary(12, 0)
    assert log.read_text().split() == ["1"] * 12
    assert dict(os.environ) == before


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    doings = ["nothing", "fail", "nothing", "crash", *["slow"] * 4]
    source, output = odd_source(tmp_path, *doings), tmp_path / "out.xyz"
    command = [sys.executable, "-m", "app.cli.main", "label", str(source), "--output", str(output)]
    command += ["--calculator", ODD, "--processes", "2"]
    path = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}) as process:
        while not output.exists() or output.read_text().count("slow") < 2:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    started = output.read_text()
    assert label([source], output, Reference(ODD), processes=2) == Summary(labelled=6, failed=2)
    assert output.read_text().startswith(started[: started.rfind("\n") + 1])
    assert [frame.info["name"] for frame in read(output, index=":")] == [
        f"frame {index}" for index in (0, 2, 4, 5, 6, 7)
    ]
    assert [failure["frame"] for failure in failures(output)] == [1, 3]


def test_an_output_of_something_else_is_left_alone(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.xyz"
    label([source], output, LJ)
    before = output.read_bytes()
    for other in (Reference("ase.calculators.emt:EMT"), Reference(LJ.calculator, {"sigma": 2.0})):
        with pytest.raises(InvalidRequest, match="made of other inputs, calculator, options"):
            label([source], output, other)
    with pytest.raises(InvalidRequest, match="is no output of this command"):
        label([source], source, LJ)
    assert output.read_bytes() == before


def test_a_refused_run_does_not_block_the_corrected_one(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        label([source], tmp_path / "out.xyz", Reference("ase.calculators.lj:Lennard"))
    assert label([source], tmp_path / "out.xyz", LJ).labelled == 12
    assert json.loads(run_path(tmp_path / "out.xyz").read_text())["calculator"] == LJ.calculator


def test_two_runs_do_not_write_one_output(source: Path, tmp_path: Path) -> None:
    def again(summary: Summary) -> None:
        if summary.labelled == 1:
            with pytest.raises(InvalidRequest, match="another run is writing"):
                label([source], tmp_path / "out.xyz", LJ)

    assert label([source], tmp_path / "out.xyz", LJ, progress=again).labelled == 12


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"calculator": "LennardJones"}, "names no calculator: write module:Class"),
        ({"calculator": "ase.calculators.nothing:It"}, "install the package that brings it"),
        ({"calculator": "ase.calculators.lj:Nothing"}, "has no calculator Nothing"),
        ({"calculator": "ase.calculators.emt:parameters"}, "has no calculator parameters"),
        (
            {"calculator": "ase.calculators.mopac:MOPAC", "properties": ("stress",)},
            "does not compute stress",
        ),
        (
            {"calculator": "ase.calculators.qmmm:SimpleQMMM", "options": {"x": 1}},
            r'options \{"x": 1\}: TypeErr',
        ),
    ],
)
def test_a_calculator_that_cannot_be_built_is_explained(
    reference: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message):
        Reference(**reference).build()


def test_a_calculator_that_kills_its_process_at_once_is_explained(
    source: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="cannot start: the worker process died"):
        label([source], tmp_path / "out.xyz", Reference("odd_calculators:Dead"))


def test_unknown_properties_and_unreadable_files_are_explained(
    source: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        InvalidRequest, match="cannot label 'charm': choose from energy, forces, stress"
    ):
        Reference("ase.calculators.emt:EMT", {}, ("energy", "charm"))
    with pytest.raises(InvalidFormat, match=r"cannot read .*missing\.xyz: No such file"):
        label([tmp_path / "missing.xyz"], tmp_path / "out.xyz", LJ)
    broken = tmp_path / "broken.xyz"
    broken.write_text(source.read_text() + "3\nno more\nAr 0 0\n")
    with pytest.raises(InvalidFormat, match=r"cannot read frame \d+ of .*broken\.xyz: "):
        label([broken], tmp_path / "out.xyz", LJ)


def test_command_counts_and_explains(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = odd_source(tmp_path, "nothing", "fail")
    command = ["label", str(source), "--calculator", ODD, "--output", str(tmp_path / "out.xyz")]
    assert main([*command, "--options", '{"rc": 4.0}', "--processes", "1"]) == 0
    assert "1 frames labelled, 1 failed" in capsys.readouterr().out
    for wrong, message in (
        (["--options", "{rc: 4}"], "--options is no JSON"),
        (["--options", "[]"], "--options must be a JSON object"),
        (["--processes", "0"], "must be positive"),
        (["--properties", "charm"], "choose from"),
    ):
        assert main([*command, *wrong]) == 2
        assert message in capsys.readouterr().err


def test_gfn2_xtb(tmp_path: Path) -> None:
    tblite = pytest.importorskip("tblite.ase")
    write(tmp_path / "in.xyz", [molecule("H2O"), molecule("CH4")])
    options = {"method": "GFN2-xTB", "verbosity": 0, "cache_api": False}
    label([tmp_path / "in.xyz"], tmp_path / "out.xyz", Reference("tblite.ase:TBLite", options))
    for frame in read(tmp_path / "out.xyz", index=":"):
        expected = frame.copy()
        expected.calc = tblite.TBLite(**options)
        assert frame.get_potential_energy() == pytest.approx(
            expected.get_potential_energy(), abs=1e-9
        )
