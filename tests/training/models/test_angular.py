import numpy as np
import pytest
import torch
from e3nn import o3

from app.atoms.irreps import couplings, harmonic_irreps, slices, width, wigner_3j
from app.backends.allegro_tables import harmonic_step
from app.training.models.angular import SphericalHarmonics, coupling


@pytest.fixture(autouse=True)
def _float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("l_max", range(7))
def test_harmonics_are_those_of_e3nn(l_max):
    directions = torch.nn.functional.normalize(torch.randn(50, 3), dim=-1)
    expected = o3.spherical_harmonics(list(range(l_max + 1)), directions, True, "component")
    torch.testing.assert_close(SphericalHarmonics(l_max)(directions), expected, rtol=0, atol=1e-13)


def test_couplings_obey_triangle_and_parity():
    assert couplings((1, -1), (2, 1)) == {(1, -1), (2, -1), (3, -1)}
    assert couplings((0, 1), (0, 1)) == {(0, 1)}


def test_coupling_rotates_as_its_irreps():
    rotation = o3.rand_matrix().double()
    for left, right, out in [
        ((1, -1), (1, -1), (2, 1)),
        ((1, -1), (2, 1), (1, -1)),
        ((2, 1), (2, 1), (0, 1)),
    ]:
        tensor = coupling(left, right, out)
        a, b, c = (o3.Irrep(*irrep).D_from_matrix(rotation) for irrep in (left, right, out))
        rotated = torch.einsum("ijk,ia,jb,kc->abc", tensor, a, b, c)
        torch.testing.assert_close(rotated, tensor, rtol=0, atol=1e-6)


def test_components_of_irreps_lie_one_after_the_other():
    irreps = harmonic_irreps(2, mirror=True)
    assert irreps == [(0, 1), (1, -1), (2, 1)]
    assert width(irreps) == 9
    assert slices(irreps) == [slice(0, 1), slice(1, 4), slice(4, 9)]


@pytest.mark.parametrize("left", range(5))
@pytest.mark.parametrize("right", range(5))
def test_tables_without_e3nn_are_those_of_e3nn(left, right):
    for out in range(abs(left - right), left + right + 1):
        expected = o3.wigner_3j(left, right, out, dtype=torch.float64).numpy()
        np.testing.assert_allclose(wigner_3j(left, right, out), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("degree", range(1, 6))
def test_the_kernels_steps_of_the_harmonics_are_the_trainers(degree):
    (left, right, out), values = harmonic_step(degree)
    dense = np.zeros((2 * degree + 1, 3, 2 * degree + 3))
    dense[left, right, out] = values
    trainers = getattr(SphericalHarmonics(degree + 1), f"step{degree}").numpy()
    np.testing.assert_allclose(dense, trainers.reshape(dense.shape), rtol=0, atol=1e-12)
