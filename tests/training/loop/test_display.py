"""What a run shows: lines without a terminal, a bar on one."""

import io

import pytest

from app.training.loop.display import Display
from app.training.loop.progress import Progress

LINE = {
    "step": 10,
    "epoch": 1,
    "seconds": 90.0,
    "train_total": 0.5,
    "validation_loss": 0.25,
    "energy_per_atom_mae": 3.0,
    "forces_mae": 40.0,
    "lr": 0.001,
}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def show(stream):
    display = Display(2, stream)
    for step in range(1, 4):
        display.last_line = -1e9
        display.stepped(
            Progress(step=step, sums=[step * 1.0, 0.5, 0.5, 0, step]), [1.0, 0.5, 0.5, 0], 5
        )
    display.evaluated(LINE)
    display.close()
    return stream.getvalue()


def test_without_a_terminal_there_are_plain_lines():
    text = show(io.StringIO())
    assert "step 3 epoch 0/2 loss 1 " in text
    assert "steps/s" in text
    assert "min left" in text
    assert "validation loss 0.25, MAE 3.00 meV/atom, 40.0 meV/Å" in text
    assert "\r" not in text


def test_the_second_interrupt_ends_at_once():
    display = Display(2, io.StringIO())
    display.interrupt()
    assert display.interrupted
    with pytest.raises(KeyboardInterrupt):
        display.interrupt()


def test_on_a_terminal_there_is_a_bar():
    text = show(Terminal())
    assert "/10" in text
    assert "step/s" in text
    assert "validation loss 0.25" in text
