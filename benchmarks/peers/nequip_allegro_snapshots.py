"""A callback for the peer's trainer: what a training has reached after given times.

Runs in the environment of `benchmarks/peers/nequip_allegro.py`, where `nequip-train` makes it from
its config.
"""

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback


class Snapshots(Callback):
    """Keeps two checkpoints at each time: the best one until then by validation, and the one of
    that moment.

    Training ends at the last time. Files are `<minutes>-best.ckpt`, `<minutes>-last.ckpt` and
    `<minutes>.json`, which says how far the training was.

    Args:
        folder: where to write.
        minutes: wall time since the first step.
    """

    def __init__(self, folder: str, minutes: Sequence[float]) -> None:
        self.folder, self.remaining = Path(folder), sorted(minutes)
        self.began = self.began_cpu = 0.0

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.began, self.began_cpu = time.monotonic(), time.process_time()

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        seconds = time.monotonic() - self.began
        while self.remaining and seconds >= 60 * self.remaining[0]:
            self._write(trainer, module, f"{self.remaining.pop(0):g}", seconds)
        trainer.should_stop = trainer.should_stop or not self.remaining

    def _write(
        self, trainer: Trainer, module: LightningModule, minutes: str, seconds: float
    ) -> None:
        best = trainer.checkpoint_callback.best_model_path
        if best:
            shutil.copyfile(best, self.folder / f"{minutes}-best.ckpt")
        trainer.save_checkpoint(self.folder / f"{minutes}-last.ckpt")
        found = {
            "seconds": seconds,
            "cpu_seconds": time.process_time() - self.began_cpu,
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
            "rate": trainer.optimizers[0].param_groups[0]["lr"],
            "parameters": sum(p.numel() for p in module.model.parameters()),
        }
        (self.folder / f"{minutes}.json").write_text(json.dumps(found))
