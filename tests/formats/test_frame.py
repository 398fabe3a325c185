from app.errors import InvalidStructure
from app.formats.frame import Frame


def test_an_error_does_not_hold_what_it_was_raised_in():
    try:
        try:
            raise ValueError("large")
        except ValueError:
            raise InvalidStructure("small") from None
    except InvalidStructure as error:
        frame = Frame(error)
    assert frame.structure.__traceback__ is None
    assert frame.structure.__context__ is None
