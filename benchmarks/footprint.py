"""What a server costs before it answers: size of its environment, time until ready, memory.

    python3 -m benchmarks.footprint --json footprint.json

Needs no package but numpy and ASE itself. It makes a fresh environment with `.[serve,cpu]` (or
takes the one of `--python`), starts `equipot serve` in it several times, and asks `/readyz` until
it answers 200. Memory is the resident set, at that moment and after some batches of 64 molecules.
"""

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.structures import rattled_aspirins

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 120.0
"""Seconds after which a server that is not ready is given up."""
BATCHES = 5


@dataclass(frozen=True)
class Start:
    """One start of the server.

    Attributes:
        seconds: from the start of the process to the first 200 of `/readyz`.
        ready_mb: resident memory then.
        busy_mb: the largest resident memory after some batches.
    """

    seconds: float
    ready_mb: float
    busy_mb: float


@contextmanager
def environment(python: Path | None) -> Iterator[Path]:
    """The interpreter to serve with: the given one, or that of a fresh environment which ends with
    the block.
    """
    if python:
        yield python
        return
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        fresh = Path(folder) / "bin" / "python"
        subprocess.run([fresh, "-m", "pip", "install", "--quiet", f"{ROOT}[serve,cpu]"], check=True)
        yield fresh


def sizes_mb(python: Path) -> dict[str, float]:
    """Size of an environment: all of it, without pip, and its ten largest packages."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(
        subprocess.run(
            [python, "-c", code], check=True, capture_output=True, text=True
        ).stdout.strip()
    )
    by_name = {path.name: _mb(path) for path in packages.iterdir() if path.is_dir()}
    largest = sorted(by_name.items(), key=lambda item: -item[1])[:10]
    total = _mb(python.parent.parent)
    without_pip = total - sum(
        size for name, size in by_name.items() if name in {"pip", "setuptools", "pkg_resources"}
    )
    return {"total": total, "without pip": without_pip, **dict(largest)}


def _mb(folder: Path) -> float:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return round(sum(path.stat().st_size for path in files) / 1e6, 1)


def measure_start(python: Path) -> Start:
    """Start a server, wait until it is ready, give it work, stop it."""
    port = _free_port()
    command = [python.parent / "equipot", "serve", "--port", str(port), "--log-level", "warning"]
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        _wait_until_ready(process, port)
        seconds = time.perf_counter() - began
        ready = _status_mb(process.pid, "VmRSS")
        for _ in range(BATCHES):
            _predict(port)
        return Start(seconds, ready, _status_mb(process.pid, "VmHWM"))
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"the server ended with status {process.returncode}")
        if _is_ready(port):
            return
        time.sleep(0.005)
    raise SystemExit(f"the server was not ready after {PATIENCE:g} s")


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):  # not listening yet, or 503
        return False


def _predict(port: int) -> None:
    structures = [
        {"symbols": atoms.get_chemical_symbols(), "positions": atoms.positions.tolist()}
        for atoms in rattled_aspirins(64)
    ]
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/predict",
        json.dumps({"structures": structures}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        results = json.load(answer)["results"]
    if any(result["status"] != "ok" for result in results):
        raise SystemExit(f"a prediction failed: {results}")


def _status_mb(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
    raise SystemExit(f"the system does not report {field}")


def report(sizes: dict[str, float], starts: list[Start]) -> str:
    """The numbers as two tables."""
    lines = [
        "| environment | MB |",
        "|---|---:|",
        *(f"| {name} | {size:.0f} |" for name, size in sizes.items()),
    ]
    seconds = [start.seconds for start in starts]
    lines += [
        "",
        "| server | |",
        "|---|---:|",
        f"| process start to ready, first time | {seconds[0]:.2f} s |",
        f"| process start to ready, median of {len(seconds)} | {statistics.median(seconds):.2f} s |",
        f"| resident memory when ready | {statistics.median(s.ready_mb for s in starts):.0f} MB |",
        f"| most resident memory, batches of 64 aspirins | {statistics.median(s.busy_mb for s in starts):.0f} MB |",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--python",
        type=Path,
        help="interpreter of an environment to measure, instead of a fresh one",
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    options = parser.parse_args()
    with environment(options.python) as python:
        sizes = sizes_mb(python)
        starts = [measure_start(python) for _ in range(options.runs)]
    print(report(sizes, starts))
    if options.json:
        content = {
            "sizes_mb": sizes,
            "starts": [asdict(start) for start in starts],
            "python": sys.version,
        }
        options.json.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
