"""The page of each task names all of its options; its examples run in `test_examples.py`."""

from app.tasks import TASKS
from tests.paths import ROOT

FOLDER = ROOT / "docs" / "tasks"
SHARED = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")


def test_every_task_has_a_page_with_all_its_options() -> None:
    assert {page.stem for page in FOLDER.glob("*.md")} == set(TASKS)
    for name, kind in TASKS.items():
        told = (FOLDER / f"{name}.md").read_text(encoding="utf-8") + SHARED
        assert "![" in told.partition("| option")[0], name
        options = kind.options.model_fields
        assert [option for option in options if f"`{option}`" not in told] == [], name
        assert f"(tasks/{name}.md)" in SHARED
