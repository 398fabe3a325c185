import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones

from app.atoms.structure import Structure
from app.backends import load_backend
from app.backends.pair import PairBackend
from app.errors import BackendError
from app.formats.ase_atoms import from_ase, to_ase
from app.store.card import ModelCard, PairParameters
from app.store.store import ModelStore
from tests.contracts import ServedContract, evaluate
from tests.paths import MODEL_STORE
from tests.structures import SLAB, random_crystal, random_molecule

EPSILON, SIGMA, CUTOFF = 0.0104, 3.4, 8.0


@pytest.fixture(scope="module")
def argon() -> PairBackend:
    return PairBackend(
        ModelCard(
            name="argon",
            version=1,
            description="",
            architecture="lennard-jones",
            backend="pair",
            elements=("Ar",),
            atomic_energies={"Ar": -14.5},
            cutoff=CUTOFF,
            receptive_field=CUTOFF,
            dtype="float64",
            pair={"Ar": PairParameters(epsilon=EPSILON, sigma=SIGMA)},
        )
    )


class TestPair(ServedContract):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, pair_card):
        return PairBackend(pair_card)


class TestNobleGases(ServedContract):
    """The model that the project brings."""

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls):
        return load_backend(ModelStore(MODEL_STORE).load("lennard-jones"))


def by_ase(structure: Structure) -> Atoms:
    atoms = to_ase(structure)
    atoms.calc = LennardJones(epsilon=EPSILON, sigma=SIGMA, rc=CUTOFF, smooth=True)
    return atoms


def test_ase_gives_the_same(argon):
    crystals = [
        random_crystal(argon.card, shape, seed=n)
        for n, shape in enumerate([(1, 1, 1), (2, 1, 2), (2, 3, 2)])
    ]
    slab = random_crystal(argon.card, (2, 2, 1), seed=5, pbc=SLAB)
    structures = [*(random_molecule(argon.card, n, seed=n) for n in (1, 2, 13)), *crystals, slab]
    for structure, actual in zip(structures, evaluate(argon, structures), strict=True):
        atoms = by_ase(structure)
        n = len(structure)
        assert actual.energy == pytest.approx(
            atoms.get_potential_energy() - 14.5 * n, abs=1e-11 * n
        )
        np.testing.assert_allclose(
            actual.energies, atoms.get_potential_energies() - 14.5, rtol=0, atol=1e-11
        )
        np.testing.assert_allclose(actual.forces, atoms.get_forces(), rtol=0, atol=1e-11)
        if structure.is_bulk:
            np.testing.assert_allclose(
                actual.stress, atoms.get_stress(voigt=False), rtol=0, atol=1e-13
            )


def test_stress_is_positive_under_tension(argon):
    stretched, squeezed = evaluate(argon, [from_ase(bulk("Ar", a=a)) for a in (5.6, 5.0)])
    assert np.trace(stretched.stress) > 0 > np.trace(squeezed.stress)


def test_unlike_elements_mix_by_lorentz_and_berthelot(pair_card):
    backend = PairBackend(pair_card)
    first, second = pair_card.pair["Ar"], pair_card.pair["H"]
    sigma, epsilon = (first.sigma + second.sigma) / 2, np.sqrt(first.epsilon * second.epsilon)
    minimum = Structure(np.array([18, 1]), np.array([[0.0, 0, 0], [2 ** (1 / 6) * sigma, 0, 0]]))
    (actual,) = evaluate(backend, [minimum])
    assert actual.energy == pytest.approx(-epsilon, rel=1e-12)
    np.testing.assert_allclose(actual.forces, 0.0, atol=1e-14)


def test_an_element_without_parameters_is_named(pair_card):
    pair = {symbol: value for symbol, value in pair_card.pair.items() if symbol not in {"N", "O"}}
    with pytest.raises(BackendError, match="model 'pairs' has no pair parameters for N, O"):
        PairBackend(pair_card.model_copy(update={"pair": pair}))


def test_the_store_s_card_names_the_backend(pair_store):
    backend = load_backend(ModelStore(pair_store).load("pairs@1"))
    assert isinstance(backend, PairBackend)
    assert backend.card.version == 1
