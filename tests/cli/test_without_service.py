"""Commands that serve nothing need neither the service's libraries nor torch."""

from pathlib import Path

from tests.extras import run_without
from tests.paths import ROOT

MAIN = "import sys; from app.cli.main import main; sys.exit(main(sys.argv[1:]))"
EXTRAS = ["serve", "aoti"]


def test_structures_are_predicted(tmp_path: Path) -> None:
    given, found = str(ROOT / "docs" / "aspirin.xyz"), tmp_path / "found.xyz"
    run_without(EXTRAS, MAIN, "predict", given, "--output", str(found), folder=tmp_path)
    assert "energy=" in found.read_text()


def test_models_are_listed(tmp_path: Path) -> None:
    assert "organic-xtb@3" in run_without(EXTRAS, MAIN, "models", "list", folder=tmp_path)
