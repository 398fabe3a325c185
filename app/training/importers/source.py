"""Files that models are read from."""

import hashlib
from pathlib import Path


def digest_of(path: Path) -> str:
    """sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
