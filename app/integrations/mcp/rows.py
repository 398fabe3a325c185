"""Results in a few words and numbers."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from ase.formula import Formula
from typing_extensions import TypedDict

from equipot import Result, Results

ROWS = 20
"""Of an answer, unless more are asked for."""


SMALL = 6
"""Rows of a table that do."""
LONGEST = 500
"""Characters of a text that go through a conversation."""
LISTED = 30
"""Numbers of a list that go through a conversation."""


class Row(TypedDict, total=False):
    """One structure: its numbers, or why there are none."""

    index: int
    id: str
    model: str
    warnings: list[str]
    error: str
    formula: str
    n_atoms: int
    charge: int
    multiplicity: int
    energy_eV: float
    energy_std_eV: float
    max_force_eV_per_A: float
    converged: bool
    steps: int
    ended: str
    energy_change_eV: float
    relative_energy_kJ_per_mol: float
    boltzmann_weight_298_K: float
    cell_A: list[list[float]]
    symbols: list[str]
    found: dict[str, Any]
    positions_A: list[list[float]]
    forces_eV_per_A: list[list[float]]


class Answer(TypedDict, total=False):
    """Some results."""

    warnings: list[str]
    failed: int
    model: str
    answer_id: str
    n_structures: int
    rows: list[Row]
    more: str
    output_file: str


def answer_of(results: Results, offset: int = 0, limit: int = ROWS) -> Answer:
    """What is said of results: doubts and failures first, then a row for each of some."""
    said = Answer(warnings=doubts(results), failed=len(results.failed))
    if (model := results.model) is not None:
        said["model"] = model.reference
    said["n_structures"] = len(results)
    numbered = list(enumerate(results))[offset : offset + limit]
    said["rows"] = [row_of(index, result) for index, result in numbered]
    if results.model is None:
        for (_, result), row in zip(numbered, said["rows"], strict=True):
            row |= {"model": result.model.reference} if result.model else {}
    return said


def doubts(results: Results) -> list[str]:
    """A line for each kind of warning and of error, with the number of structures that have it."""
    told = [{each.code: each.message for each in result.warnings[::-1]} for result in results]
    told += [{each.error.code: each.error.message} for each in results if each.error is not None]
    counts = Counter(code for codes in told for code in codes)
    first = {code: message for codes in told[::-1] for code, message in codes.items()}
    return [f"{code}: {counts[code]} of {len(results)}, first: {first[code]}" for code in counts]


def row_of(index: int, result: Result) -> Row:
    """One result."""
    row = Row(index=index)
    if result.id is not None:
        row["id"] = result.id
    if result.warnings:
        row["warnings"] = [each.code for each in result.warnings]
    if result.error is not None:
        row["error"] = f"{result.error.code}: {result.error.message}"
        return row
    if symbols := symbols_of(result):
        row |= {"formula": Formula.from_list(symbols).format("hill"), "n_atoms": len(symbols)}
        row["charge"] = int((result.structure or {}).get("charge") or 0)
        if (multiplicity := (result.structure or {}).get("multiplicity")) is not None:
            row["multiplicity"] = int(multiplicity)
    numbers: dict[str, Any] = {
        "energy_eV": _rounded(result.energy),
        "energy_std_eV": _rounded(result.energy_std, 4),
        "max_force_eV_per_A": _rounded(result.fmax, 5),
    }
    row |= {name: value for name, value in numbers.items() if value is not None}  # type: ignore[typeddict-item]
    if (ended := result.relaxation) is not None:
        row |= {"converged": ended.converged, "steps": ended.steps, "ended": ended.reason}
        if ended.initial_energy is not None and result.energy is not None:
            row["energy_change_eV"] = round(result.energy - ended.initial_energy, 6)
        cell = (result.structure or {}).get("cell")
        if cell is not None:
            row["cell_A"] = np.round(cell, 5).tolist()
    if result.value is not None:
        row["found"] = brief(result.value)
    return row


def with_atoms(row: Row, result: Result) -> Row:
    """The row with all atoms, where there is an answer."""
    if not result.ok or result.structure is None:
        return row
    atoms = Row(
        symbols=symbols_of(result), positions_A=np.round(result.structure["positions"], 5).tolist()
    )
    if result.forces is not None:
        atoms["forces_eV_per_A"] = np.round(result.forces, 5).tolist()
    return row | atoms


def symbols_of(result: Result) -> list[str]:
    """Of the atoms of a result."""
    known = result.structure or {}
    if "symbols" in known:
        return list(known["symbols"])
    return [chemical_symbols[number] for number in known.get("numbers", ())]


def _rounded(value: float | None, digits: int = 6) -> float | None:
    return None if value is None else round(value, digits)


def _is_small(values: list[Any]) -> bool:
    """Whether it is a list of numbers, words or objects, or a small table of numbers."""
    if not values or not isinstance(values[0], list):
        return True
    return len(values) <= SMALL and not isinstance(values[0][0], list)


def brief(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without large arrays and files; of long lists the beginning."""
    kept: dict[str, Any] = {}
    for name, value in values.items():
        is_large = isinstance(value, list) and not _is_small(value)
        is_file = isinstance(value, str) and (len(value) > LONGEST or "\n" in value)
        if is_large or is_file:
            continue
        if isinstance(value, Mapping):
            value = brief(value)
        elif isinstance(value, list):
            value = [brief(v) if isinstance(v, Mapping) else v for v in value[:LISTED]]
        kept[name] = value
    return kept
