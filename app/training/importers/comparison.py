"""An imported model beside its own package's calculator: energies, forces and stress of crystals."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator

from app.atoms.neighbors import build_graph
from app.atoms.prediction import split
from app.atoms.structure import Floats, Structure
from app.errors import CertificateRefused
from app.store.card import ModelCard
from app.store.certificate import Deviations
from app.store.imported import Comparison
from app.training.export.certificate import EagerModel, scales
from app.training.export.publish import About, card_of
from app.training.export.synthetic import box
from app.training.importers.imported import ImportedModel

TOLERANCE = Deviations(energy_per_atom=1e-5, forces=1e-4, stress=1e-5)
"""Both sides are in float32, or one is."""
LATTICES: Sequence[tuple[str, str, float]] = (
    ("Si", "diamond", 5.431),
    ("NaCl", "rocksalt", 5.64),
    ("Cu", "fcc", 3.61),
    ("Fe", "bcc", 2.87),
    ("MgO", "rocksalt", 4.21),
    ("GaAs", "zincblende", 5.65),
    ("CsCl", "cesiumchloride", 4.12),
)
"""Formula, structure and lattice constant in Å."""
FEWEST = 3
"""Crystals of its elements; a model that knows fewer is compared on boxes of random atoms, too."""


def crystals(elements: Sequence[str]) -> list[Structure]:
    """Crystals of known elements, at rest and with displaced atoms; random ones where these are
    few.
    """
    perfect = [bulk(*lattice) for lattice in LATTICES]
    known = [atoms for atoms in perfect if {*map(str, atoms.symbols)} <= {*elements}]
    structures = [
        Structure(atoms.numbers, atoms.positions, np.array(atoms.cell), np.ones(3, bool))
        for one in known
        for atoms in (one, _displaced(one))
    ]
    if len(known) < FEWEST:
        structures += [box(elements, atoms, seed=atoms) for atoms in (6, 12, 20)]
    return structures


def compare(model: ImportedModel, calculator: Calculator, package: str) -> Comparison:
    """How far a model is from its package.

    Args:
        model: in float64 it is evaluated as the certificate does.
        calculator: the package's own.
        package: its name and version.

    Raises:
        CertificateRefused: they differ by more than the tolerance.
    """
    card = card_of(model, "imported", 1, About(), "float64", 0)
    eager = EagerModel(model.network(), card)
    structures = crystals(card.elements)
    worst = np.max([_deviations(eager, card, s, calculator) for s in structures], axis=0)
    largest = Deviations(**dict(zip(Deviations.model_fields, worst.tolist(), strict=True)))
    over = [
        f"{name} {value:.1e} (tolerance {allowed:.0e})"
        for (name, value), (_, allowed) in zip(largest, TOLERANCE, strict=True)
        if not value <= allowed
    ]
    if over:
        raise CertificateRefused(f"the model is not what {package} says: {'; '.join(over)}")
    return Comparison(
        package=package, structures=len(structures), largest=largest, tolerance=TOLERANCE
    )


def _deviations(
    eager: EagerModel, card: ModelCard, structure: Structure, calculator: Calculator
) -> Floats:
    """(3,): of energy per atom, forces and stress, in proportion where these are large."""
    graph = build_graph(structure, card.cutoff)
    (ours,) = split(eager(graph), graph)
    atoms = Atoms(structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc)
    atoms.calc = calculator
    assert ours.forces is not None
    assert ours.stress is not None
    differences = [
        abs(ours.energy - atoms.get_potential_energy()) / len(atoms),
        np.abs(ours.forces - atoms.get_forces()).max(),
        np.abs(ours.stress - atoms.get_stress(voigt=False)).max(),
    ]
    divided: Floats = np.array(differences) / scales(ours, graph, card)
    return divided


def _displaced(perfect: Atoms) -> Atoms:
    """Two cells of it, strained, with displaced atoms."""
    atoms = perfect.repeat((2, 1, 1))
    strain = np.eye(3) + np.array([[0.02, 0.01, 0.0], [0.01, -0.01, 0.0], [0.0, 0.0, 0.01]])
    atoms.set_cell(atoms.cell @ strain, scale_atoms=True)
    atoms.rattle(0.1, seed=3)
    moved: Atoms = atoms
    return moved
