"""Folders of DeePMD for tests."""

import numpy as np

from tests.training.labelled import REFERENCES

SYMBOLS = sorted(REFERENCES)


def write_deepmd(folder, frames, sets=1):
    symbols = [str(s) for s in frames[0].structure.symbols]
    (folder).mkdir()
    (folder / "type_map.raw").write_text("\n".join(SYMBOLS))
    (folder / "type.raw").write_text("\n".join(str(SYMBOLS.index(s)) for s in symbols))
    bulk = frames[0].structure.is_bulk
    if not bulk:
        (folder / "nopbc").touch()
    for i, part in enumerate(np.array_split(np.arange(len(frames)), sets)):
        chosen = [frames[j] for j in part]
        here = folder / f"set.{i:03d}"
        here.mkdir()
        arrays = {
            "coord": [f.structure.positions.ravel() for f in chosen],
            "energy": [f.energy for f in chosen],
            "force": [f.forces.ravel() for f in chosen],
        }
        if bulk:
            arrays["box"] = [f.structure.cell.ravel() for f in chosen]
            arrays["virial"] = [(-f.structure.volume * f.stress).ravel() for f in chosen]
        for name, values in arrays.items():
            np.save(here / f"{name}.npy", np.array(values))
    return folder
