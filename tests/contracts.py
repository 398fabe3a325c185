"""The contract of a backend: what every potential must keep, whatever computes it.

Subclass `ServedContract`, or `BackendContract` for an eager model, give the fixture `backend`, and
pytest runs the whole suite on it:

    class TestPair(ServedContract):
        @pytest.fixture(scope="class")
        @classmethod
        def backend(cls, pair_card):
            return PairBackend(pair_card)

The structures are random, but the same each time, and are made of the elements and for the cutoff
of the backend's card.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from app.atoms.neighbors import build_graphs
from app.atoms.prediction import StructurePrediction, split
from app.atoms.structure import Floats, Integers, Structure
from app.backends import Backend
from app.errors import UnsupportedElement
from tests.structures import (
    SLAB,
    WIRE,
    leaving,
    random_crystal,
    random_molecule,
    random_rotation,
    repeated,
    strained,
    turned,
)
from tests.tolerances import TOLERANCES, Tolerance

STENCIL = {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}
"""Weights of a fourth-order first derivative."""


class BackendContract:
    """Tests that a subclass inherits; it gives `backend`, and may replace the other fixtures.

    Attributes:
        inversion: whether mirror images have the same energy; false for models of SE(3) only.
    """

    inversion = True

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls) -> Backend:
        raise NotImplementedError("a subclass gives the backend")

    @pytest.fixture(scope="class")
    @classmethod
    def tolerance(cls, backend: Backend) -> Tolerance:
        return TOLERANCES[backend.card.dtype]

    @pytest.fixture(scope="class")
    @classmethod
    def molecules(cls, backend: Backend) -> list[Structure]:
        return [random_molecule(backend.card, n, seed=n) for n in (2, 5, 11)]

    @pytest.fixture(scope="class")
    @classmethod
    def crystals(cls, backend: Backend) -> list[Structure]:
        """Cells much smaller than the cutoff, triclinic ones, and a left-handed one."""
        shapes = [(1, 1, 1), (2, 1, 1), (2, 2, 2)]
        return [
            random_crystal(backend.card, shape, seed=7 + n, left_handed=n == 1)
            for n, shape in enumerate(shapes)
        ]

    @pytest.fixture(scope="class")
    @classmethod
    def low_dimensional(cls, backend: Backend) -> list[Structure]:
        slab = random_crystal(backend.card, (2, 2, 1), seed=21, pbc=SLAB)
        return [slab, random_crystal(backend.card, (1, 2, 1), seed=22, pbc=WIRE)]

    @pytest.fixture(scope="class")
    @classmethod
    def structures(
        cls, molecules: list[Structure], crystals: list[Structure], low_dimensional: list[Structure]
    ) -> list[Structure]:
        """All of them, the kinds alternating."""
        return [
            *(molecules[0], crystals[0], low_dimensional[0], molecules[1], crystals[1]),
            *(low_dimensional[1], *molecules[2:], *crystals[2:]),
        ]

    @pytest.fixture(scope="class")
    @classmethod
    def singles(cls, backend: Backend, structures: list[Structure]) -> list[StructurePrediction]:
        return [evaluate(backend, [structure])[0] for structure in structures]

    def test_batched_equals_single(self, backend, structures, singles, tolerance):
        for actual, expected in zip(evaluate(backend, structures), singles, strict=True):
            assert_same(actual, expected, tolerance)

    def test_order_and_company_do_not_matter(self, backend, structures, singles, tolerance):
        batch = [*structures[::-1], structures[0], structures[0]]
        for actual, expected in zip(
            evaluate(backend, batch), [*singles[::-1], singles[0], singles[0]], strict=True
        ):
            assert_same(actual, expected, tolerance)

    def test_same_graph_same_bits(self, backend, structures):
        graph = build_graphs(structures, backend.card.cutoff)
        first, second = backend(graph), backend(graph)
        for field in dataclasses.fields(first):
            a, b = getattr(first, field.name), getattr(second, field.name)
            np.testing.assert_array_equal(a, b, err_msg=field.name)

    def test_input_is_not_changed(self, backend, structures):
        graph, untouched = (build_graphs(structures, backend.card.cutoff) for _ in range(2))
        backend(graph)
        for field in dataclasses.fields(graph):
            a, b = getattr(graph, field.name), getattr(untouched, field.name)
            np.testing.assert_array_equal(a, b, err_msg=field.name)

    def test_energy_is_the_sum_of_the_atoms_shares(self, singles, tolerance):
        for prediction in singles:
            n = len(prediction.energies)
            assert prediction.energy == pytest.approx(
                prediction.energies.sum(), abs=n * tolerance.energy_per_atom
            )

    def test_permutation(self, backend, structures, singles, tolerance):
        rng = np.random.default_rng(1)
        orders = [rng.permutation(len(s)) for s in structures]
        moved = [
            replace(s, numbers=s.numbers[o], positions=s.positions[o])
            for s, o in zip(structures, orders, strict=True)
        ]
        for actual, expected, o in zip(evaluate(backend, moved), singles, orders, strict=True):
            assert_same(actual, picked(expected, o), tolerance)

    def test_rotation(self, backend, structures, singles, tolerance):
        rotation = random_rotation(np.random.default_rng(2))
        for actual, expected in zip(
            evaluate(backend, turned(structures, rotation)), singles, strict=True
        ):
            assert_same(actual, rotated(expected, rotation), tolerance)

    def test_inversion(self, backend, structures, singles, tolerance):
        if not self.inversion:
            pytest.skip("the model tells mirror images apart")
        mirror = -random_rotation(np.random.default_rng(3))
        for actual, expected in zip(
            evaluate(backend, turned(structures, mirror)), singles, strict=True
        ):
            assert_same(actual, rotated(expected, mirror), tolerance)

    def test_translation(self, backend, structures, singles, tolerance):
        moved = [
            replace(s, positions=s.positions + np.array([3.1, -7.7, 11.3])) for s in structures
        ]
        for actual, expected in zip(evaluate(backend, moved), singles, strict=True):
            assert_same(actual, expected, tolerance)

    def test_wrapping(self, backend, structures, singles, tolerance):
        rng = np.random.default_rng(4)
        moved = [
            replace(s, positions=s.positions + (rng.integers(-3, 4, (len(s), 3)) * s.pbc) @ s.cell)
            for s in structures
        ]
        for actual, expected in zip(evaluate(backend, moved), singles, strict=True):
            assert_same(actual, expected, tolerance)

    def test_supercell(self, backend, structures, singles, tolerance):
        periodic = [(s, p) for s, p in zip(structures, singles, strict=True) if s.pbc.any()]
        larger = [repeated(s) for s, _ in periodic]
        for actual, (structure, one) in zip(evaluate(backend, larger), periodic, strict=True):
            copies = 2 ** int(structure.pbc.sum())
            assert_same(actual, copied(one, copies), tolerance)

    def test_forces_are_the_gradient_of_the_energy(self, backend, structures, singles, tolerance):
        rng = np.random.default_rng(5)
        for structure, prediction in zip(structures, singles, strict=True):
            directions = rng.normal(size=(2, len(structure), 3))
            directions /= np.linalg.norm(directions, axis=(1, 2), keepdims=True)
            moved = [
                replace(structure, positions=structure.positions + h * d)
                for d in directions
                for h in steps(tolerance.step)
            ]
            expected = -np.einsum("dna,na->d", directions, prediction.forces)
            bound = tolerance.gradient * max(1.0, np.abs(prediction.forces).max())
            np.testing.assert_allclose(
                slopes(backend, moved, tolerance.step), expected, rtol=0, atol=bound
            )

    def test_stress_is_the_gradient_of_the_energy(self, backend, crystals, tolerance):
        strains = np.array([np.outer(*np.eye(3)[[a, b]]) for a in range(3) for b in range(a, 3)])
        strains = 0.5 * (strains + strains.transpose(0, 2, 1))
        # strain that moves no pair by more than a step
        reach = tolerance.step / backend.card.cutoff
        for crystal, prediction in zip(crystals, evaluate(backend, crystals), strict=True):
            moved = [strained(crystal, h * strain) for strain in strains for h in steps(reach)]
            expected = crystal.volume * np.einsum("sab,ab->s", strains, prediction.stress)
            bound = tolerance.gradient * max(1.0, np.abs(expected).max())
            np.testing.assert_allclose(slopes(backend, moved, reach), expected, rtol=0, atol=bound)

    def test_forces_of_an_isolated_system_have_no_sum_and_no_torque(
        self, molecules, backend, tolerance
    ):
        for molecule, prediction in zip(molecules, evaluate(backend, molecules), strict=True):
            bound = tolerance.forces * len(molecule) * max(1.0, np.abs(prediction.forces).max())
            centred = molecule.positions - molecule.positions.mean(axis=0)
            extent = np.abs(centred).max()
            np.testing.assert_allclose(prediction.forces.sum(axis=0), 0.0, rtol=0, atol=bound)
            torque = np.cross(centred, prediction.forces).sum(axis=0)
            np.testing.assert_allclose(torque, 0.0, rtol=0, atol=bound * extent)

    def test_stress_is_symmetric_and_only_of_crystals(self, structures, singles):
        for structure, prediction in zip(structures, singles, strict=True):
            if structure.is_bulk:
                assert prediction.stress is not None
                np.testing.assert_array_equal(prediction.stress, prediction.stress.T)
            else:
                assert prediction.stress is None

    def test_smooth_at_the_cutoff(self, backend, molecules, tolerance):
        fine = leaving(molecules[1], backend.card.cutoff, n_steps=80)
        answers = evaluate(backend, fine)
        energies = np.array([a.energy for a in answers])
        forces = np.array([a.forces for a in answers])
        scale = max(1.0, np.abs(forces).max())
        assert_no_jump(energies, tolerance.energy_per_atom * len(fine[0]))
        assert_no_jump(forces, tolerance.forces * scale)

    def test_no_force_beyond_the_cutoff(self, backend, tolerance):
        number, cutoff = backend.card.numbers[0], backend.card.cutoff
        pairs = [
            Structure(
                np.array([number, number]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, cutoff + h]])
            )
            for h in (-1e-7, 1e-7)
        ]
        inside, outside = evaluate(backend, pairs)
        assert_same(inside, outside, tolerance)
        np.testing.assert_array_equal(outside.forces, 0.0)

    def test_single_atom(self, backend, tolerance):
        card = backend.card
        atoms = [Structure(np.array([z]), np.array([[1.0, 2.0, 3.0]])) for z in card.numbers]
        for symbol, prediction in zip(card.elements, evaluate(backend, atoms), strict=True):
            reference = card.atomic_energies.get(symbol, 0.0)
            assert prediction.energy == pytest.approx(reference, abs=tolerance.energy_per_atom)
            np.testing.assert_array_equal(prediction.forces, np.zeros((1, 3)))
            assert prediction.stress is None

    def test_graph_without_edges(self, backend, tolerance):
        card = backend.card
        far = np.arange(len(card.elements))[:, None] * [0.0, 0.0, 2.0 * card.cutoff]
        box = np.eye(3) * 2.0 * card.cutoff * len(card.elements)
        gas, crystal = evaluate(
            backend, [Structure(card.numbers, far), Structure(card.numbers, far, box, np.True_)]
        )
        expected = [card.atomic_energies.get(symbol, 0.0) for symbol in card.elements]
        for prediction in (gas, crystal):
            np.testing.assert_allclose(
                prediction.energies, expected, rtol=0, atol=tolerance.energy_per_atom
            )
            np.testing.assert_array_equal(prediction.forces, 0.0)
        np.testing.assert_array_equal(crystal.stress, np.zeros((3, 3)))

    def test_two_far_copies_add_up(self, backend, molecules, tolerance):
        neutral = [replace(molecule, charge=0) for molecule in molecules]
        for molecule, one in zip(neutral, evaluate(backend, neutral), strict=True):
            apart = np.ptp(molecule.positions, axis=0).max() + backend.card.receptive_field + 1.0
            two = Structure(
                np.tile(molecule.numbers, 2),
                np.concatenate([molecule.positions, molecule.positions + np.array([0, apart, 0])]),
            )
            assert_same(evaluate(backend, [two])[0], copied(one, 2), tolerance)

    def test_unknown_element_is_named(self, backend, molecules):
        unknown = next(z for z in range(118, 0, -1) if z not in backend.card.numbers)
        numbers = molecules[2].numbers.copy()
        numbers[4] = unknown
        stranger = replace(molecules[2], numbers=numbers)
        with pytest.raises(UnsupportedElement, match=f"atom 4 is {stranger.symbols[4]}"):
            evaluate(backend, [stranger])


class ServedContract(BackendContract):
    """The same of a backend that is served, which gives energies alone as well."""

    def test_energies_alone_are_the_same_energies(self, backend, structures, tolerance):
        graph = build_graphs(structures, backend.card.cutoff)
        for actual, expected in zip(
            split(backend.energies(graph), graph), split(backend(graph), graph), strict=True
        ):
            assert_same_energies(actual, expected, tolerance)
            assert actual.forces is None
            assert actual.stress is None
            assert actual.forces_std is None


def evaluate(backend: Backend, structures: Sequence[Structure]) -> list[StructurePrediction]:
    """The structures' predictions, from one batch."""
    graph = build_graphs(structures, backend.card.cutoff)
    return split(backend(graph), graph)


def assert_same(
    actual: StructurePrediction, expected: StructurePrediction, tolerance: Tolerance
) -> None:
    assert_same_energies(actual, expected, tolerance)
    scale = max(1.0, float(np.abs(expected.forces).max()))
    np.testing.assert_allclose(
        actual.forces, expected.forces, rtol=0, atol=tolerance.forces * scale
    )
    assert (actual.stress is None) == (expected.stress is None)
    if expected.stress is not None:
        bound = tolerance.stress * max(1.0, float(np.abs(expected.stress).max()))
        np.testing.assert_allclose(actual.stress, expected.stress, rtol=0, atol=bound)
    assert (actual.forces_std is None) == (expected.forces_std is None)
    if expected.forces_std is not None:
        np.testing.assert_allclose(
            actual.forces_std, expected.forces_std, rtol=0, atol=2 * tolerance.forces * scale
        )


def assert_same_energies(
    actual: StructurePrediction, expected: StructurePrediction, tolerance: Tolerance
) -> None:
    n = len(expected.energies)
    assert actual.energy == pytest.approx(expected.energy, abs=n * tolerance.energy_per_atom)
    np.testing.assert_allclose(
        actual.energies, expected.energies, rtol=0, atol=10 * tolerance.energy_per_atom
    )
    assert (actual.energy_std is None) == (expected.energy_std is None)
    if expected.energy_std is not None:
        assert actual.energy_std == pytest.approx(
            expected.energy_std, abs=n * tolerance.energy_per_atom
        )


def picked(prediction: StructurePrediction, atoms: Integers) -> StructurePrediction:
    """The prediction for the same structure with its atoms in this order."""
    members = None if prediction.member_forces is None else prediction.member_forces[:, atoms]
    errors = None if prediction.force_errors is None else prediction.force_errors[atoms]
    forces, energies = prediction.forces[atoms], prediction.energies[atoms]
    return replace(
        prediction, forces=forces, energies=energies, member_forces=members, force_errors=errors
    )


def copied(prediction: StructurePrediction, copies: int) -> StructurePrediction:
    """The prediction for copies of a structure that do not feel each other, or feel the same."""
    members = None if prediction.member_energy is None else copies * prediction.member_energy
    variance = None if prediction.energy_variance is None else copies * prediction.energy_variance
    larger = replace(
        prediction,
        energy=copies * prediction.energy,
        member_energy=members,
        energy_variance=variance,
    )
    return picked(larger, np.tile(np.arange(len(prediction.energies)), copies))


def assert_no_jump(values: Floats, bound: float) -> None:
    """Second differences shrink to ¼ with half the step, at a kink to ½, at a jump not."""
    fine = values[2:] - 2.0 * values[1:-1] + values[:-2]
    coarse = values[4:] - 2.0 * values[2:-2] + values[:-4]
    assert np.abs(fine).max() <= 0.75 * np.abs(coarse).max() + bound


def rotated(prediction: StructurePrediction, rotation: Floats) -> StructurePrediction:
    stress = prediction.stress
    return replace(
        prediction,
        forces=prediction.forces @ rotation.T,
        stress=None if stress is None else rotation @ stress @ rotation.T,
    )


def steps(size: float) -> list[float]:
    return [k * size for k in STENCIL]


def slopes(backend: Backend, moved: Sequence[Structure], size: float) -> Floats:
    """Derivatives of the energy along each direction, from the stencil's structures."""
    energies = np.array([p.energy for p in evaluate(backend, moved)]).reshape(-1, len(STENCIL))
    return energies @ np.array(list(STENCIL.values())) / size
