"""The folder that remembers calibrations."""

import logging
from pathlib import Path

from pydantic import ValidationError

from app.engine.calibration import Calibration, CalibrationKey

log = logging.getLogger(__name__)


class CalibrationCache:
    """Calibrations in a folder, one file for each model, device and number of threads."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def read(self, key: CalibrationKey) -> Calibration | None:
        """What was measured under a key; None if nothing was, or with another runtime."""
        if self._folder is None:
            return None
        try:
            calibration = Calibration.model_validate_json(
                self._path(self._folder, key).read_bytes()
            )
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            reason = str(error).partition("\n")[0]
            log.warning("%s is not used: %s", self._path(self._folder, key), reason)
            return None
        return calibration if calibration.key == key else None

    def write(self, calibration: Calibration) -> Path | None:
        """Remember it; says in the log where that cannot be done, and returns None."""
        if self._folder is None:
            return None
        path = self._path(self._folder, calibration.key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            partial.write_text(calibration.model_dump_json(indent=2) + "\n")
            partial.replace(path)
        except OSError as error:
            log.info(
                "calibrations are not kept: %s cannot be written (%s)", path.parent, error.strerror
            )
            self._folder = None
            return None
        return path

    def _path(self, folder: Path, key: CalibrationKey) -> Path:
        return folder / f"{key.digest[:16]}-{key.device}-{key.threads}.json"
