import pytest

from app.formats.cif.blocks import read_blocks

TEXT = """# a remark
data_one
_cell_length_a 5.4(2)   # Å
_chemical_name 'it''s a "salt"'
_Journal.Title
;two
lines;
;
loop_
_atom_site_label
_atom_site.type_symbol
Ar1 Ar
"Ar 2" 'Ar'
data_two
_x ?
"""


def test_values_and_tables_by_their_names():
    one, two = read_blocks(TEXT.split("\n"))
    assert (one.name, one.fault) == ("one", None)
    assert one.first("_cell_length_a") == "5.4(2)"
    assert one.first("_chemical_name") == "it''s a \"salt\""
    assert one.first("_journal_title") == "two\nlines;"
    assert one.values["_atom_site_label"] == ["Ar1", "Ar 2"]
    assert one.values["_atom_site_type_symbol"] == ["Ar", "Ar"]
    assert two.first("_x", "_y") is None


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('"Ar 2" ', "", "line 9: a table of 2 columns with 3 values"),
        ("5.4(2)", "", "line 3: '_cell_length_a' stands where a name with a value"),
        ("loop_\n", "loop_ 1\n", "line 9: a table of 0 columns with 1 values"),
    ],
)
def test_a_malformed_block_costs_only_itself(before, after, message):
    one, two = read_blocks(TEXT.replace(before, after).split("\n"))
    assert message in str(one.fault)
    assert two.fault is None


def test_a_text_that_does_not_end_is_the_fault_of_its_block():
    one, two = read_blocks((TEXT + ";open\n").split("\n"))
    assert one.fault is None
    assert "line 16: a text that starts here with ; does not end" in str(two.fault)


def test_a_name_with_two_values_is_refused_where_it_is_read():
    lines = ["data_a", "_cell_length_a 5", "_cell_length_a {}", "_note 1", "_note 2"]
    same, other = (read_blocks("\n".join(lines).format(a).split("\n"))[0] for a in (5, 6))
    assert (same.fault, same.first("_note")) == (None, "1")
    assert "line 3: _cell_length_a stands twice, with different values" in str(other.fault)
