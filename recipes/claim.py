"""A folder belongs to one run: what is run there stands in it."""

import json
from collections.abc import Mapping
from pathlib import Path


def claim(folder: Path, settings: Mapping[str, object], option: str) -> None:
    """Note in a folder what is run there, or go on with the same; refuse one of something else.

    Args:
        folder: of the run; made if it is not there.
        settings: what must not change while the run goes on.
        option: of the command line that names the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "settings.json"
    if not path.exists():
        path.write_text(json.dumps(settings, indent=2) + "\n")
    before = json.loads(path.read_text())
    changed = [name for name, value in settings.items() if before[name] != value]
    if changed:
        raise SystemExit(
            f"{folder} holds a run with another {', '.join(changed)}: choose another {option}"
        )
