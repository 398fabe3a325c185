"""Where the native kernel is not installed, it is said why, and ONNX Runtime serves."""

import logging
import platform
import sys

import pytest

from app.backends import load_backend
from app.errors import BackendError
from app.store.store import StoredModel


@pytest.mark.parametrize(
    ("system", "machine", "said"),
    [
        (
            "Linux",
            "x86_64",
            r"not installed; run: pip install equipot-kernel, or choose backend 'onnx'",
        ),
        (
            "Darwin",
            "arm64",
            r"not installed, and there is no wheel of it for Darwin arm64; ONNX Runtime serves the model",
        ),
        ("Linux", "aarch64", r"no wheel of it for Linux aarch64; .*: pip install \./kernel"),
    ],
)
def test_what_is_missing_is_named_and_onnx_serves(
    system: str,
    machine: str,
    said: str,
    bundled: StoredModel,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(sys.modules, "equipot_kernel", None)
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(BackendError, match=said):
        load_backend(bundled, backend="kernel")
    with caplog.at_level(logging.INFO, "app.backends.choice"):
        assert "onnxruntime" in load_backend(bundled).runtime
    assert "organic-xtb@3 does not run on kernel: the native kernel is not installed" in caplog.text
