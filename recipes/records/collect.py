"""Keep a record of a finished run.

    python -m recipes.records.collect runs/aspirin --data rmd17-aspirin --name allegro

copies its config, its metrics, some lines of its learning curve and its parity plot to
`recipes/records/runs/<data>/<name>`, from where `recipes.records.table` and
`recipes.records.figures` read them. Of a committee, the config and the curve are those of the first
member.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from app.training.runs.folder import CommitteeFolder, RunFolder
from recipes.records.images import shrink
from recipes.records.records import RUNS, read_lines

MOST_LINES = 200


def collect(run: Path, target: Path) -> None:
    """Make the record of a run in a folder.

    Raises:
        SystemExit: the run has not ended, or was tested on nothing.
    """
    whole = RunFolder(run)
    first = (CommitteeFolder(run).members() or [whole])[0]
    if not whole.result.is_file():
        raise SystemExit(f"{whole.result} is missing; has the run ended?")
    if "test" not in json.loads(whole.result.read_text(encoding="utf-8")):
        raise SystemExit(f"{whole.result} has no errors on a test set")
    target.mkdir(parents=True, exist_ok=True)
    config = without_folders(yaml.safe_load(first.config.read_text(encoding="utf-8")))
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    (target / "config.yaml").write_text(text, encoding="utf-8")
    shutil.copyfile(whole.result, target / "metrics.json")
    rows = first.curve.read_text(encoding="utf-8").splitlines()
    losses = [line["validation_loss"] for line in read_lines(first.curve)]
    kept = [rows[0], *(rows[1 + place] for place in thinned(losses))]
    (target / "metrics.csv").write_text("\n".join(kept) + "\n", encoding="utf-8")
    shutil.copyfile(whole.parity, target / "parity.png")
    shrink(target / "parity.png")


def thinned(losses: Sequence[float]) -> list[int]:
    """Places of at most `MOST_LINES` evaluations, evenly spread, with the first, the last and the
    best one.
    """
    spread = np.linspace(0, len(losses) - 1, min(len(losses), MOST_LINES - 1)).round().astype(int)
    return sorted({*spread.tolist(), int(np.argmin(losses))})


def without_folders(config: dict[str, Any]) -> dict[str, Any]:
    """A config whose absolute paths of data are the files' names: where they lay is nobody's
    business.
    """
    for part in ("train", "validation", "test"):
        for source in config["data"][part]:
            if Path(source["path"]).is_absolute():
                source["path"] = Path(source["path"]).name
    return config


def main() -> None:
    """Collect one run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder of a run or of a committee")
    parser.add_argument(
        "--data", required=True, help="the data set, as in recipes/records/published.py"
    )
    parser.add_argument(
        "--name", required=True, help="what tells the run from others on the same data"
    )
    parser.add_argument(
        "--runs", type=Path, default=RUNS, help="where records are kept (%(default)s)"
    )
    options = parser.parse_args()
    collect(options.run, options.runs / options.data / options.name)


if __name__ == "__main__":
    main()
