"""Tasks on the page: their forms, progress, what they find, plots and downloads, in a real browser."""

import json
from pathlib import Path

from tests.api.server import Running
from tests.page.conftest import Go
from tests.page.test_parts import AXE, FINDINGS

ARGON = '1\nLattice="0 2.65 2.65 2.65 0 2.65 2.65 2.65 0" Properties=species:S:1:pos:R:3 pbc="T T T"\nAr 0 0 0\n'


def test_a_form_for_each_task_is_made_of_the_services_schema(go: Go, bundled: Running) -> None:
    tasks = bundled.client.get("/tasks").json()["tasks"]
    with go() as visit:
        visit.page.click("#tasks summary")
        visit.expect("#task option").to_have_text([task["name"] for task in tasks])
        for task in tasks:
            visit.page.select_option("#task", task["name"])
            options = task["options"]["properties"]
            visit.expect("#task-options [name]").to_have_count(len(options))
        assert visit.complaints == []


def test_thermochemistry_with_its_numbers_and_its_file(go: Go, tmp_path: Path) -> None:
    with go() as visit:
        visit.page.click("#tasks summary")
        visit.page.select_option("#task", "thermo")
        visit.page.fill("#task-temperature_K", "350")
        visit.page.fill("#smiles", "O")
        visit.page.click("#do-task")
        visit.expect("#state").to_have_text("Done: thermo.")
        visit.expect("#task-progress").to_be_hidden()
        visit.expect("#found").to_contain_text("gibbs_energy_eV")
        visit.expect("#found tr:has-text('temperature_K') td:nth-child(2)").to_have_text("350")
        visit.expect("#profile-figure").to_be_hidden()
        visit.expect("#numbers").to_contain_text("gained by relaxing")
        with visit.page.expect_download() as waiting:
            visit.page.click("#found-json")
        waiting.value.save_as(tmp_path / "thermo.json")
        document = json.loads((tmp_path / "thermo.json").read_text())
        assert document["results"][0]["value"]["symmetry_number"] == 2
        visit.page.evaluate(AXE)
        assert visit.page.evaluate(FINDINGS) == []
        assert visit.complaints == []


def test_a_scan_has_its_profile(go: Go, tmp_path: Path) -> None:
    with go() as visit:
        visit.page.click("#tasks summary")
        visit.page.select_option("#task", "scan")
        visit.page.fill("#task-atoms", "0, 1")
        visit.page.fill("#task-range_A", "0.9 1.1")
        visit.page.fill("#task-points", "3")
        visit.page.fill("#smiles", "O")
        visit.page.click("#do-task")
        visit.expect("#state").to_have_text("Done: scan.")
        visit.expect("#profile circle").to_have_count(3)
        visit.expect("#profile-text").to_contain_text("3 points from 0.9 to 1.1 Å")
        with visit.page.expect_download() as waiting:
            visit.page.click("#found-csv")
        waiting.value.save_as(tmp_path / "scan.csv")
        assert len((tmp_path / "scan.csv").read_text().splitlines()) == 4
        visit.ask("C")
        visit.expect("#state").to_have_text("Done.")
        visit.expect("#found").to_be_hidden()


def test_a_crystal_has_its_equation_of_state(go: Go) -> None:
    with go() as visit:
        visit.page.select_option("#model", "lennard-jones@1")
        visit.page.fill("#content", ARGON)
        visit.page.click("#tasks summary")
        visit.page.select_option("#task", "eos")
        visit.page.fill("#task-points", "7")
        visit.page.click("#do-task")
        visit.expect("#state").to_have_text("Done: eos.")
        visit.expect("#profile circle").to_have_count(7)
        visit.expect("#found").to_contain_text("bulk_modulus_GPa")


def test_wrong_options_are_told_where_they_stand(go: Go) -> None:
    with go() as visit:
        visit.page.click("#tasks summary")
        visit.page.select_option("#task", "thermo")
        visit.page.fill("#task-temperature_K", "0")
        visit.page.fill("#smiles", "O")
        visit.page.click("#do-task")
        visit.expect("#task-error").to_contain_text(
            "options.temperature_K: Input should be greater"
        )
        visit.page.select_option("#task", "scan")
        visit.expect("#task-error").to_be_hidden()
        visit.page.click("#do-task")
        visit.expect("#task-error").to_contain_text("atoms")


def test_a_task_as_a_job(go: Go) -> None:
    with go() as visit:
        visit.page.click("#tasks summary")
        visit.page.select_option("#task", "thermo")
        visit.page.fill("#smiles", "O")
        visit.page.click("#task-job")
        visit.expect("#job-list li").to_contain_text("thermo of O")
        visit.expect("#job-list li").to_contain_text("done: 1 of 1 answered.")
        visit.expect("#job-list a.button").to_have_text(["json", "lines"])
