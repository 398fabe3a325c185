"""Metrics for TensorBoard."""

import sys

import pytest

from app.errors import InvalidConfig
from app.training.loop.tensorboard import Board


def test_no_tensorboard_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InvalidConfig, match="tensorboard = true: it is not installed"):
        Board(tmp_path)
