"""Relaxations on the page, followed in a real browser; several structures; downloads."""

import re
from pathlib import Path

from tests.api.server import Running
from tests.page.conftest import Go

TWO = "3\nid=good\nO 0 0 0.119\nH 0 0.763 -0.477\nH 0 -0.763 -0.477\n1\nid=bad\nSi 0 0 0\n"


def test_a_relaxation_is_followed_and_compared_with_its_beginning(go: Go, bundled: Running) -> None:
    body = {"structures": [{"smiles": "CC(=O)NCCO"}], "relax": {"fmax": 0.01}}
    (result,) = bundled.predict(body).json()["results"]
    with go() as visit:
        visit.page.click("#options summary")
        visit.page.fill("#fmax", "0.01")
        visit.ask("CC(=O)NCCO", "#relax")
        visit.expect("#state").to_have_text(
            f"Done: converged after {result['relaxed']['steps']} steps."
        )
        points = visit.page.locator("#curve path").get_attribute("d").count(" ")
        assert points > 4  # the first, some that came while it went on, and the last
        after, before = f"{result['relaxed']['energy']:.4f} eV", f"{result['energy']:.4f} eV"
        visit.expect("#numbers").to_contain_text(after)
        visit.page.check("[value=before]")
        visit.expect("#numbers").to_contain_text(before)
        visit.page.check("[value=both]")
        visit.expect("#numbers").to_contain_text(after)
        assert visit.complaints == []


def test_a_relaxation_is_stopped(go: Go) -> None:
    with go() as visit:
        visit.page.route("**/predict", lambda route: None)
        visit.ask("CCO", "#relax")
        visit.expect("#predict").to_be_disabled()
        visit.page.click("#stop")
        visit.expect("#state").to_have_text("Stopped.")
        visit.expect("#predict").to_be_enabled()


def test_answers_are_downloaded_as_files(go: Go, tmp_path: Path) -> None:
    with go() as visit:
        visit.ask("O", "#relax")
        visit.expect("#state").to_contain_text("Done: converged")
        with visit.page.expect_download() as waiting:
            visit.page.get_by_role("button", name="xyz").click()
        waiting.value.save_as(tmp_path / "water.xyz")
        assert waiting.value.suggested_filename == "equipot.xyz"
        assert "relaxed=T" in (tmp_path / "water.xyz").read_text()
        visit.page.get_by_role("button", name="poscar").click()
        visit.expect("#download-error").to_contain_text("POSCAR")


def test_conformers_are_a_table_with_the_lowest_first(go: Go) -> None:
    with go() as visit:
        visit.page.fill("#conformers", "3")
        visit.ask("CCCO")
        visit.expect("#state").to_have_text("Done: 3 structures.")
        visit.expect("#structures tbody tr").to_have_count(3)
        visit.expect("#structures tbody img").to_have_count(3)
        above = visit.page.locator("#structures tbody td:nth-child(4)").all_inner_texts()
        assert above == sorted(above, key=float)
        assert float(above[0]) == 0
        visit.page.locator("#structures tbody button").nth(2).click()
        name = visit.page.locator("#structures tbody button").nth(2).inner_text()
        visit.expect("#numbers").to_contain_text(name)
        visit.expect("#structures tr.chosen button").to_have_text(name)
        assert visit.complaints == []


def test_a_structure_with_an_error_keeps_its_place_beside_the_others(go: Go) -> None:
    with go() as visit:
        visit.page.fill("#content", TWO)
        visit.page.click("#relax")
        visit.expect("#state").to_have_text("Done: 2 structures, 1 with an error.")
        visit.expect("#structures td.error").to_have_text(re.compile("atom 0 is Si"))
        visit.expect("#numbers").to_contain_text("good")
