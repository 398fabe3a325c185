"""Jobs and models on the page, and the page in all: narrow, dark, and for everybody (axe-core)."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.api.server import Running, running
from tests.page.browser import visiting
from tests.page.conftest import Go
from tests.paths import MODEL_STORE

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
FINDINGS = """async () => (await axe.run()).violations
  .filter(({ impact }) => impact === "serious" || impact === "critical")
  .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)"""
OVERHANG = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def test_a_job_is_submitted_followed_kept_and_forgotten(go: Go) -> None:
    with go() as visit:
        visit.ask("CCO", "#predict-job")
        visit.expect("#job-list li p").to_contain_text("done: 1 of 1 answered")
        visit.page.reload()
        visit.expect("#job-list li p").to_contain_text("done: 1 of 1 answered")
        visit.expect("#job-list strong").to_have_text("CCO")
        with visit.page.expect_download() as waiting:
            visit.page.get_by_role("link", name="csv").click()
        (row,) = csv.DictReader(Path(waiting.value.path()).read_text().splitlines())
        assert (row["formula"], row["converged"]) == ("C2H6O", "")
        visit.page.get_by_role("button", name="Forget").click()
        visit.page.reload()
        visit.expect("#job-list li").to_have_count(0)
        assert visit.complaints == []


def test_a_job_that_is_gone_says_so(go: Go) -> None:
    kept = '[{"id": "none", "what": "CCO", "created": "2026-11-29T01:09:47Z"}]'
    with go() as visit:
        visit.page.evaluate("kept => localStorage.setItem('equipot.jobs', kept)", kept)
        visit.page.reload()
        visit.page.click("nav a[href='#jobs']")
        visit.expect("#job-list .error").to_contain_text("none")


def test_models_say_what_they_are_for_and_are_chosen(go: Go, bundled: Running) -> None:
    summary = bundled.client.get("/models/organic-xtb").json()["summary"]
    with go() as visit:
        visit.page.click("nav a[href='#models']")
        visit.expect("#compute").to_be_hidden()
        first = "#models article:nth-of-type(1)"
        visit.expect(f"{first} li").to_have_text(summary)
        visit.expect(f"{first} table").to_contain_text("energy, MAE, meV/atom")
        estimates = f"{first} img[alt='Errors of forces against their estimates']"
        visit.expect(estimates).to_have_count(1)
        picture = visit.page.locator(estimates)
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
        other = visit.page.locator("#models article").nth(1)
        other.get_by_role("button", name="Use it").click()
        visit.expect("#model").to_have_value("lennard-jones@1")
        visit.expect("#model-about").to_contain_text("Elements: He, Ne, Ar, Kr, Xe")
        assert visit.complaints == []


def test_of_several_defaults_each_structure_has_its_own(browser: Any) -> None:
    defaults = "lennard-jones,organic-xtb"
    argon = (
        "2\nid=argon\nAr 0 0 0\nAr 0 0 3.8\n3\nid=water\nO 0 0 0.1\nH 0 0.8 -0.5\nH 0 -0.8 -0.5\n"
    )
    with (
        running(MODEL_STORE, default_model=defaults, threads=1) as service,
        visiting(browser, f"http://127.0.0.1:{service.port}/") as visit,
    ):
        visit.expect("#model option:checked").to_have_text("by structure")
        visit.expect("#model-about").to_contain_text("lennard-jones@1, organic-xtb@")
        visit.page.fill("#content", argon)
        visit.page.click("#relax")
        visit.expect("#state").to_have_text("Done: 2 structures.")
        for name, model in (("argon", "lennard-jones@1"), ("water", "organic-xtb@")):
            visit.page.get_by_role("button", name=name).click()
            visit.expect("#numbers").to_contain_text(model)
        assert visit.complaints == []


def test_aliases_say_what_answers_and_are_chosen(browser: Any, tmp_path: Path) -> None:
    deployment = tmp_path / "deployment.json"
    shares = {"lennard-jones@1": 90, "organic-xtb@3": 10}
    deployment.write_text(json.dumps({"aliases": {"screen": {"shares": shares}}}))
    told = "lennard-jones@1 for 90 % of callers, organic-xtb@3 for 10 % of callers"
    with (
        running(
            MODEL_STORE, default_model="organic-xtb", threads=1, deployment_file=deployment
        ) as service,
        visiting(browser, f"http://127.0.0.1:{service.port}/") as visit,
    ):
        visit.page.click("nav a[href='#models']")
        visit.expect("#aliases li").to_have_text(f"screen: {told}")
        visit.page.click("nav a[href='#compute']")
        visit.page.select_option("#model", "screen")
        visit.expect("#model-about").to_have_text(f"An alias: {told}.")
        visit.page.fill("#content", "2\nid=argon\nAr 0 0 0\nAr 0 0 3.8\n")
        visit.page.click("#predict")
        visit.expect("#numbers").to_contain_text("@")
        assert visit.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(go: Go, scheme: str) -> None:
    with go(color_scheme=scheme) as visit:
        visit.page.fill("#conformers", "2")
        visit.ask("CCO", "#relax")
        visit.expect("#state").to_contain_text("Done: 2")
        visit.page.click("#options summary")
        visit.page.fill("#steps", "-1")
        visit.page.click("#relax")
        visit.expect("#steps-error").to_be_visible()
        visit.page.evaluate(AXE)
        found = visit.page.evaluate(FINDINGS)
        for part in ("jobs", "models"):
            visit.page.click(f"nav a[href='#{part}']")
            visit.expect(f"#{part}").to_be_visible()
            found += visit.page.evaluate(FINDINGS)
        assert found == []


def test_nothing_hangs_over_on_a_phone(go: Go) -> None:
    with go(viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True) as visit:
        visit.page.fill("#conformers", "2")
        visit.ask("CCO")
        visit.expect("#state").to_contain_text("Done: 2")
        visit.expect("#view canvas").to_be_visible()
        for part in ("compute", "jobs", "models"):
            visit.page.click(f"nav a[href='#{part}']")
            visit.expect(f"#{part}").to_be_visible()
            assert visit.page.evaluate(OVERHANG) <= 0
        assert visit.complaints == []
