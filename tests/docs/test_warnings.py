"""The page of warnings has every code, and no other."""

from typing import get_args

from app.atoms.warnings import CODES, Code
from tests.paths import ROOT


def test_every_code_has_its_row() -> None:
    page = (ROOT / "docs/warnings.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{code}` | {meaning} |" for code, meaning in CODES.items()]
    assert set(get_args(Code)) == set(CODES)
