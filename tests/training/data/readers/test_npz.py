"""npz files of (revised) MD17 and MD22."""

import numpy as np
import pytest
from ase import units

from app.errors import InvalidData
from app.training.data.config import Source
from app.training.data.readers import read
from tests.training.labelled import molecules, npz_arrays


def source(path, **keys):
    return Source(path=path.name, **keys)


def read_file(path, **keys):
    return list(read(source(path, **keys), path))


@pytest.mark.parametrize(
    ("energy", "length", "ev", "angstrom"),
    [
        ("kcal/mol", "Å", 0.0433641, 1.0),
        ("Hartree", "bohr", 27.211386, 0.52917721),
        ("meV", "nm", 1e-3, 10.0),
    ],
)
def test_npz_labels_are_converted_to_ev_and_angstrom(tmp_path, energy, length, ev, angstrom):
    arrays = npz_arrays(molecules(3, sizes=[3]))
    np.savez(tmp_path / "a.npz", **{**arrays, "coords": arrays["coords"] / angstrom})
    found = read_file(tmp_path / "a.npz", units={"energy": energy, "length": length})
    np.testing.assert_allclose(found[2].structure.positions, arrays["coords"][2], rtol=1e-6)
    np.testing.assert_allclose(found[2].energy, ev * arrays["energies"][2], rtol=1e-6)
    np.testing.assert_allclose(found[2].forces, ev / angstrom * arrays["forces"][2], rtol=1e-6)


def test_the_original_md17_layout_is_read(tmp_path):
    arrays = npz_arrays(molecules(3, sizes=[3]))
    renamed = dict(zip(("z", "R", "E", "F"), arrays.values(), strict=True))
    np.savez(tmp_path / "a.npz", **{**renamed, "E": renamed["E"][:, None]})
    found = read_file(tmp_path / "a.npz", units={})
    assert [f.energy for f in found] == pytest.approx(arrays["energies"].tolist())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda a: a.update(energies=a["energies"][:-1]),
            r"frames differ: 3 of positions, 2 of energy, 3 of forces",
        ),
        (
            lambda a: a.update(forces=a["forces"][:, :-1]),
            r"frame 0: forces has shape \(2, 3\); expected \(3, 3\)",
        ),
        (
            lambda a: a.update(coords=a["coords"][0]),
            r"coords has shape \(3, 3\), not one entry a frame",
        ),
        (
            lambda a: a.update(nuclear_charges=a["nuclear_charges"][:2]),
            r"frame 0: positions: shape \(3, 3\)",
        ),
        (
            lambda a: a.pop("forces"),
            "no array forces or F for forces; it has: coords, energies, nuclear_charges",
        ),
        (lambda a: a["energies"].__setitem__(1, np.nan), "frame 1: energy holds nan"),
        (lambda a: a.update(energies=np.array([1, "x", None], dtype=object)), "cannot be read"),
    ],
)
def test_a_bad_npz_is_named(tmp_path, change, message):
    arrays = npz_arrays(molecules(3, sizes=[3]))
    change(arrays)
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InvalidData, match=rf"^bad\.npz.*{message}"):
        read_file(tmp_path / "bad.npz", units={})


def test_an_npz_with_other_names_needs_them_in_the_config(tmp_path):
    arrays = npz_arrays(molecules(3, sizes=[3]))
    arrays["dft"] = arrays.pop("energies")
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InvalidData, match="no array energies or E for energy"):
        read_file(tmp_path / "a.npz", units={})
    assert len(read_file(tmp_path / "a.npz", units={}, keys={"energy": "dft"})) == 3


def test_a_file_that_is_no_npz_is_named(tmp_path):
    (tmp_path / "bad.npz").write_text("text")
    with pytest.raises(InvalidData, match=r"^bad\.npz: cannot be read"):
        read_file(tmp_path / "bad.npz", units={})


@pytest.fixture
def md22(tmp_path):
    """Writes frames in the layout of MD22's npz files, with other arrays in the place of some."""
    frames = molecules(3, sizes=[3])
    arrays = dict(zip(("z", "R", "E", "F"), npz_arrays(frames).values(), strict=True))
    arrays["E"] = arrays["E"][:, None]
    forces = {
        "F_min": arrays["F"].min(),
        "F_max": arrays["F"].max(),
        "F_mean": 0.0,
        "F_var": arrays["F"].var(),
    }
    about = {
        "type": "d",
        "name": "AT-AT",
        "theory": "PBE+MBD",
        "code_version": "0.4",
        "md5": "0" * 32,
    }
    stated = {"e_unit": "kcal/mol", "r_unit": "Ang"}

    def write(**other):
        np.savez_compressed(tmp_path / "md22.npz", **arrays | forces | about | stated | other)
        return tmp_path / "md22.npz"

    write.frames = frames
    return write


@pytest.mark.parametrize("unit", ["kcal/mol", b"kcal/mol"])
def test_md22_is_read_and_its_units_are_checked(md22, unit):
    path = md22(e_unit=unit)
    found = list(read(Source(path="md22.npz", units={"energy": "kcal/mol", "length": "Å"}), path))
    factor = units.kcal / units.mol
    assert [frame.energy for frame in found] == pytest.approx(
        [frame.energy * factor for frame in md22.frames]
    )
    np.testing.assert_allclose(found[2].forces, md22.frames[2].forces * factor)
    with pytest.raises(
        InvalidData, match=r"md22\.npz, frame 0: energy_unit is 'kcal/mol', but the config reads"
    ):
        list(read(Source(path="md22.npz", units={"energy": "eV"}), path))


def test_a_lattice_in_an_npz_is_not_ignored(md22):
    with pytest.raises(InvalidData, match=r"^md22\.npz: has a lattice; .* write it as extXYZ"):
        list(read(Source(path="md22.npz", units={}), md22(lattice=10 * np.eye(3))))
