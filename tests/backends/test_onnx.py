"""The bundled model in ONNX Runtime."""

import pytest

from app.backends import load_backend
from app.backends.onnx import open_onnx
from app.errors import BackendError
from app.store.card import ARTIFACT
from tests.contracts import ServedContract


class TestBundledModel(ServedContract):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, bundled):
        return load_backend(bundled, backend="onnx")


def test_a_file_that_is_no_artifact_is_refused(bundled, tmp_path):
    (tmp_path / ARTIFACT).write_bytes(b"not an artifact")
    with pytest.raises(BackendError, match="cannot open"):
        open_onnx(bundled.card, tmp_path)


def test_an_unknown_device_is_refused(bundled):
    with pytest.raises(BackendError, match="device 'tpu' is unknown"):
        load_backend(bundled, device="tpu")
