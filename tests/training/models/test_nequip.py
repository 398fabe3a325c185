from dataclasses import replace

import pytest

from app.training.models import NequIPConfig
from tests.contracts import BackendContract
from tests.tolerances import TOLERANCES
from tests.training.cards import reference

SMALL = {"cutoff": 4.0, "irreps": "8x0e + 6x1o + 4x2e", "num_layers": 2, "radial_hidden": (8,)}
SE3 = {**SMALL, "irreps": "8x0e + 6x1e + 4x2e", "parity": False}
VARIANTS = {
    "default shape": NequIPConfig(**SMALL),
    "linear self-connection, layer norm": NequIPConfig(
        **SMALL, self_connection="linear", layer_norm=True
    ),
    "both parities, three layers, deep readout": NequIPConfig(
        **{**SMALL, "irreps": "8x0e+3x0o+4x1o+3x1e+3x2e", "num_layers": 3}, readout_hidden=(6,)
    ),
    "scalars only, no self-connection": NequIPConfig(
        **{**SMALL, "irreps": "8x0e"}, l_max=0, self_connection="none", embedding=5
    ),
}


@pytest.mark.parametrize(
    "backend", VARIANTS.values(), ids=VARIANTS.keys(), indirect=True, scope="class"
)
class TestNequIP(BackendContract):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, request):
        return reference(request.param)


class TestNequIPWithoutParity(BackendContract):
    inversion = False

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls):
        return reference(NequIPConfig(**SE3, first_self_connection=False))


class TestNequIPWithXplor(BackendContract):
    """Its curvature jumps at the onset and at the cutoff, which finite differences notice."""

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls):
        envelope = {"envelope": "xplor", "envelope_onset": 3.0}
        return reference(NequIPConfig(**SMALL, **envelope, trainable_bessels=True))

    @pytest.fixture(scope="class")
    @classmethod
    def tolerance(cls):
        return replace(TOLERANCES["float64"], gradient=1e-4)
