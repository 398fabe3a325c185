"""A calibration that was never measured, for tests of what follows from one."""

from app.engine.calibration import Calibration, CalibrationKey, Measurement

KEY = CalibrationKey(digest="d" * 64, device="cpu", threads=1, runtime="numpy 2")


def measurement(structures: int, seconds: float) -> Measurement:
    return Measurement(
        structures=structures,
        atoms=21 * structures,
        edges=300 * structures,
        seconds=seconds,
        peak=0,
    )


def calibration(bytes_per_edge: float | None = None) -> Calibration:
    best = measurement(16, 0.08)
    return Calibration(
        key=KEY,
        effort="quick",
        base=0.01,
        atom=0.0,
        edge=1e-5,
        best=best,
        bytes_per_edge=bytes_per_edge,
        measurements=(best,),
    )
