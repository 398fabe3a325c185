"""docs/tasks.md names every option of every task; its examples run in `test_examples.py`."""

import re

from app.tasks import TASKS
from tests.paths import ROOT

PAGE = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## ([a-z-]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def test_every_task_has_a_section_with_all_its_options() -> None:
    assert set(SECTIONS) == set(TASKS)
    shared = PAGE.partition("## thermo")[0]
    for name, kind in TASKS.items():
        options = kind.options.model_fields
        told = SECTIONS[name] + shared
        assert [option for option in options if f"`{option}`" not in told] == [], name
