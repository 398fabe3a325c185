"""The table from error class to status and code."""

from app import errors
from app.formats.smiles import TakesLonger
from app.protocol.faults import TABLE, fault


def leaves(kind: type[errors.EquipotError]) -> set[type[errors.EquipotError]]:
    children = kind.__subclasses__()
    return set().union(*map(leaves, children)) if children else {kind}


def test_every_leaf_is_in_the_table_or_is_a_kind_of_what_is() -> None:
    lacking = leaves(errors.EquipotError) - set(TABLE)
    assert lacking == {errors.AtomsTooClose, TakesLonger}
    assert fault(errors.AtomsTooClose("")).code == fault(errors.InvalidStructure("")).code
    assert fault(TakesLonger("")).code == fault(errors.StructureTooLarge("")).code


def test_codes_differ() -> None:
    codes = [code for _, code in TABLE.values()]
    assert len(set(codes)) == len(codes)


def test_a_class_of_elsewhere_takes_its_parents_status() -> None:
    class Narrower(errors.UnknownModel):
        """Not in the table."""

    shown = fault(Narrower("which"))
    del Narrower
    assert (shown.status, shown.code, shown.message) == (404, "unknown_model", "which")
