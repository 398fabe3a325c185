"""What is answered with a doubt says so, and is refused where that is wanted."""

from tests.api.server import Running

METHYL = {
    "symbols": ["C", "H", "H", "H"],
    "positions": [[0, 0, 0], [1.08, 0, 0], [-0.54, 0.935, 0], [-0.54, -0.935, 0]],
}


def test_a_radical_is_refused_by_a_model_of_closed_shells(bundled: Running) -> None:
    error = bundled.predict(METHYL).json()["error"]
    assert error["code"] == "unsupported_charge"
    assert "9 electrons, an odd number" in error["message"]
    assert bundled.predict({**METHYL, "multiplicity": 1}).status_code == 422


def test_its_ions_of_closed_shells_are_answered(bundled: Running) -> None:
    cation, anion = (bundled.predict({**METHYL, "charge": sign}).json() for sign in (1, -1))
    assert cation["results"][0]["energy"] - anion["results"][0]["energy"] > 1


def test_unless_it_is_wanted_and_then_there_is_a_warning(bundled: Running) -> None:
    wanted = {"structures": [METHYL], "allow_odd_electrons": True}
    (result,) = bundled.predict(wanted).json()["results"]
    assert result["status"] == "ok"
    assert [warning["code"] for warning in result["warnings"]] == ["odd_electrons"]
    doublet = {"structures": [{**METHYL, "multiplicity": 2}], "allow_odd_electrons": True}
    (stated,) = bundled.predict(doublet).json()["results"]
    assert stated == result
    strict = bundled.predict({**wanted, "strict": True}).json()["error"]
    assert strict["code"] == "doubtful_answer"
    assert "odd_electrons" in strict["message"]


def test_the_warning_stands_in_xyz_too(bundled: Running) -> None:
    text = "4\n\nC 0 0 0\nH 1.08 0 0\nH -0.54 0.935 0\nH -0.54 -0.935 0\n"
    answer = bundled.client.post(
        "/predict?allow_odd_electrons=true",
        content=text,
        headers={"content-type": "chemical/x-xyz"},
    )
    assert 'warnings="odd_electrons: the molecule has 9 electrons' in answer.text
