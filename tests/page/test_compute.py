"""The first part of the page in a real browser: structures in, energies, forces and doubts out."""

from pathlib import Path
from typing import Any

import pytest

from tests.api.server import Running
from tests.page.browser import visiting
from tests.page.conftest import Go

FAR = "2\n\nAr 0 0 0\nAr 0 0 4.5\n"
HEAVY_WATER = "3\nheavy water\nO 0 0 0.119\nD 0 0.763 -0.477\nD 0 -0.763 -0.477\n"
BROKEN = "3\nwater\nO 0 0 0.119\nH 0 0.763 far\nH 0 -0.763 -0.477\n"
CRYSTAL = '1\nLattice="0 2.7 2.7 2.7 0 2.7 2.7 2.7 0" Properties=species:S:1:pos:R:3\nAr 0 0 0\n'
DROP = """text => {
  const files = new DataTransfer();
  files.items.add(new File([text], "water.xyz"));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true }));
}"""
NO_WEBGL = "HTMLCanvasElement.prototype.getContext = () => null"


def energy(service: Running, item: Any) -> str:
    """The energy of a structure as the page writes it."""
    (result,) = service.predict({"structures": [item]}).json()["results"]
    return f"{result['energy']:.4f} eV"


def test_a_smiles_is_typed_and_answered_by_the_keyboard_alone(go: Go, bundled: Running) -> None:
    with go() as visit:
        visit.page.locator("#smiles").focus()
        visit.page.keyboard.type("CCO")
        visit.page.keyboard.press("Enter")
        visit.expect("#state").to_have_text("Done.")
        visit.expect("#numbers").to_contain_text(energy(bundled, {"smiles": "CCO"}))
        visit.expect("#view canvas").to_be_visible()
        visit.expect("#legend").to_contain_text("longest arrow")
        visit.expect("#atoms tbody tr").to_have_count(9)
        assert visit.complaints == []


def test_the_view_turns_by_keys(go: Go) -> None:
    with go() as visit:
        visit.ask("O")
        visit.expect("#state").to_have_text("Done.")
        before = visit.page.locator("#view").screenshot()
        visit.page.locator("#view").press("ArrowLeft")
        assert visit.page.locator("#view").screenshot() != before


def test_a_file_is_dropped_and_a_warning_marks_its_atoms(go: Go) -> None:
    with go() as visit:
        visit.page.evaluate(DROP, HEAVY_WATER)
        visit.expect("#format").to_have_value("xyz")
        visit.page.click("#predict")
        visit.expect("#warnings li").to_contain_text("isotope ignored: atoms 1, 2")
        visit.expect("#atoms tr.named td:first-child").to_have_text(["H 1", "H 2"])
        assert visit.complaints == []


def test_a_line_that_cannot_be_read_is_shown_under_the_file(go: Go) -> None:
    with go() as visit:
        visit.page.fill("#content", BROKEN)
        visit.page.click("#predict")
        visit.expect("#content-error").to_contain_text("line 4: 'far' is not a number")
        visit.expect("#content-error code").to_have_text("4 | H 0 0.763 far")
        visit.expect("#content").to_be_focused()
        selected = "field => field.value.slice(field.selectionStart, field.selectionEnd)"
        assert visit.page.locator("#content").evaluate(selected) == "H 0 0.763 far"
        visit.expect("#answer").to_be_hidden()


@pytest.mark.parametrize(
    ("smiles", "place", "told"),
    [
        ("C1CC", "smiles", "no SMILES"),
        ("C[SiH3]", "smiles", "Si, which model 'organic-xtb' was not trained on"),
        ("", "smiles", "type a SMILES"),
    ],
)
def test_an_error_stands_under_the_smiles(go: Go, smiles: str, place: str, told: str) -> None:
    with go() as visit:
        visit.ask(smiles)
        visit.expect(f"#{place}-error").to_contain_text(told)
        visit.expect(f"#{place}").to_have_attribute("aria-invalid", "true")


def test_an_option_that_is_out_of_its_limits_is_shown_and_told(go: Go) -> None:
    with go() as visit:
        visit.page.click("#options summary")
        visit.page.fill("#steps", "99999")
        visit.page.click("#options summary")
        visit.ask("O", "#relax")
        visit.expect("#steps-error").to_contain_text("at most 1000 are allowed")


def test_without_rdkit_the_page_says_so_where_smiles_are_typed(
    go: Go, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.api.routes.page.is_available", lambda: False)
    with go() as visit:
        visit.expect("#no-rdkit").to_contain_text("pip install 'equipot[molecules]'")


def test_without_webgl_there_are_numbers(go: Go) -> None:
    with go() as visit:
        visit.page.evaluate(NO_WEBGL)
        visit.ask("O")
        visit.expect("#state").to_have_text("Done.")
        visit.expect("#no-view").to_contain_text("no WebGL")
        visit.expect("#numbers").to_contain_text("eV/Å")


def test_uncertainties_and_what_is_out_of_domain(browser: Any, doubting: Running) -> None:
    with visiting(browser, f"http://127.0.0.1:{doubting.port}/") as visit:
        visit.page.fill("#content", FAR)
        visit.page.click("#predict")
        visit.expect("#warnings li").to_contain_text("out of domain: atom 0 (Ar) is 4.50 Å")
        visit.expect("#numbers").to_contain_text("± 0.25 eV")
        visit.page.select_option("#colour", "std")
        visit.expect("#legend").to_contain_text("yellow 0.100 eV/Å")
        visit.page.fill("#content", CRYSTAL)
        visit.page.click("#predict")
        visit.expect("#warnings").to_contain_text("periodic")
        assert visit.complaints == []


def test_a_molecule_is_drawn(go: Go) -> None:
    with go() as visit:
        visit.page.click("#draw")
        visit.expect("#draw").to_have_attribute("aria-expanded", "true")
        visit.expect("#sketch").to_have_attribute("aria-busy", "false")
        box = visit.page.locator("#canvas").bounding_box()
        visit.page.mouse.click(box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2)
        visit.expect("#smiles").not_to_have_value("")
        visit.page.click("#predict")
        visit.expect("#state").to_have_text("Done.")
        assert visit.complaints == []


def test_the_picture_in_the_readme_is_there() -> None:
    assert (Path(__file__).parents[2] / "docs" / "page.png").is_file()
