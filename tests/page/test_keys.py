"""The page of a service that wants keys, in a real browser."""

import contextlib
from pathlib import Path
from typing import Any

import pytest

from tests.access.issued import issue, revoke
from tests.api.server import running
from tests.page.browser import Visit
from tests.page.test_parts import AXE, FINDINGS
from tests.paths import MODEL_STORE

ARGON = "2\n\nAr 0 0 0\nAr 0 0 3.9\n"


def test_a_key_is_asked_for_kept_in_the_tab_and_sent_with_everything(
    browser: Any, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    issued = issue(file, "one", "predict", "jobs")
    secret = issued["Authorization"].removeprefix("Bearer ")
    options = {"default_model": "lennard-jones", "jobs_folder": tmp_path / "jobs", "threads": 1}
    with (
        running(MODEL_STORE, api_keys_file=file, models="lennard-jones", **options) as server,
        contextlib.closing(browser.new_context()) as context,
    ):
        visit = Visit(context.new_page())
        page = visit.page
        page.goto(f"http://127.0.0.1:{server.port}/")
        visit.expect("#key-form").to_be_visible()
        visit.expect("#service-error").to_contain_text("a key is wanted")
        page.evaluate(AXE)
        assert page.evaluate(FINDINGS) == []
        page.fill("#key", "wrong")
        page.click("#key-form button")
        visit.expect("#service-error").to_contain_text("not known")
        page.fill("#key", secret)
        page.click("#key-form button")
        visit.expect("#models article h3").not_to_have_count(0)
        visit.expect("#key-form").to_be_hidden()
        visit.expect("#service-error").to_be_hidden()
        page.reload()
        visit.expect("#models article h3").not_to_have_count(0)
        assert page.evaluate("() => Object.values(localStorage).join()") == ""
        page.fill("#content", ARGON)
        page.click("#relax")
        visit.expect("#state").to_contain_text("Done: converged")
        page.click("#relax-job")
        visit.expect("#job-list li p").to_contain_text("done: 1 of 1 answered")
        with page.expect_download() as waiting:
            page.get_by_role("link", name="xyz").click()
        waiting.value.save_as(tmp_path / "relaxed.xyz")
        assert "relaxed=T" in (tmp_path / "relaxed.xyz").read_text()
        revoke(file, "one")
        page.click("nav a[href='#compute']")
        _until_wanted(visit)
        page.fill("#key", issue(file, "two", "predict")["Authorization"].removeprefix("Bearer "))
        page.click("#key-form button")
        visit.expect("#key-form").to_be_hidden()
        assert page.input_value("#content") == ARGON


def _until_wanted(visit: Visit) -> None:
    """Ask until the page wants a key again."""
    for _ in range(200):
        visit.page.click("#predict")
        visit.expect("#predict").to_be_enabled()
        if visit.page.locator("#key-form").is_visible():
            return
    pytest.fail("the key that was revoked is still good")
