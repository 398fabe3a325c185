"""What reading a body takes of memory: no more than a multiple of its size, whatever it holds."""

import subprocess
import sys

import pytest

from tests.paths import ROOT

MULTIPLE = 60
"""Times the body's size; a list of Python takes 56 bytes and its place in another one 8."""
CONSTANT = 20_000_000
"""Bytes that the first use of the readers takes."""
SCRIPT = """
import sys
from app.errors import EquipotError
from app.machine import peak_memory
from app.protocol.decode import decode
from app.protocol.request import Message, RequestLimits

kind, body = sys.argv[1], eval(sys.argv[2])
before = peak_memory()
try:
    decode(Message(kind, body, (), kind), RequestLimits(1024, 200_000, 1000))
except EquipotError:
    pass
print(len(body), peak_memory() - before)
"""
BODIES = {
    "lists": ("json", "b'{\"structures\":[' + b'[],' * 260_000 + b'[]]}'"),
    "more lists": ("json", "b'{\"structures\":[' + b'[],' * 5_000_000 + b'[]]}'"),
    "numbers": ("json", "b'{\"symbols\":[' + b'1,' * 1_000_000 + b'1]}'"),
    "texts": ("json", "b'{\"symbols\":[' + b'\"C\",' * 1_000_000 + b'\"C\"]}'"),
    "coordinates": ("json", "b'{\"positions\":[' + b'[1.5,2.5,3.5],' * 190_000 + b'[0,0,0]]}'"),
    "lists of MessagePack": ("msgpack", "b'\\xdd\\x00\\x80\\x00\\x00' + b'\\x90' * (1 << 23)"),
    "lines": ("xyz", "b'190000\\n\\n' + b'C 1.5 2.5 3.5\\n' * 190_000"),
    "blank lines": ("xyz", "b'\\n' * 500_000"),
    "blank lines of SDF": ("sdf", "b'\\n' * 500_000"),
    "empty records": ("sdf", "b'$$$$\\n' * 500_000"),
    "blank lines of PDB": ("pdb", "b'\\n' * 500_000"),
    "empty models": ("pdb", "b'MODEL\\n' * 500_000"),
    "empty blocks": ("cif", "b'data_\\n' * 500_000"),
    "empty jobs": ("gaussian", "b'#\\n' * 500_000"),
    "blank lines of a job": ("gaussian", "b'\\n' * 500_000"),
    "empty molecules": ("mol2", "b'@<TRIPOS>MOLECULE\\n' * 500_000"),
    "rows of MOL2": ("mol2", "b'@<TRIPOS>MOLECULE\\n@<TRIPOS>ATOM\\n' + b'\\n' * 500_000"),
    "short SMILES": ("smiles", "b'C\\n' * 500_000"),
    "a file in JSON": ("json", "b'{\"content\":\"' + b'\\\\n' * 500_000 + b'\"}'"),
}


@pytest.mark.parametrize("name", BODIES)
def test_reading_takes_no_more_than_a_multiple(name: str) -> None:
    command = [sys.executable, "-c", SCRIPT, *BODIES[name]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    size, growth = map(int, done.stdout.split())
    assert growth <= MULTIPLE * size + CONSTANT
