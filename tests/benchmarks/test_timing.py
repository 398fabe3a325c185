"""What is compared takes turns, and what fails is told apart."""

from benchmarks.timing import in_turns, print_missing, ratio


def test_cases_take_turns_in_an_order_that_turns_around():
    asked = []

    def measure(name):
        def ms(repeats):
            asked.append((name, repeats))
            return 10.0

        return ms

    times, missing = in_turns({name: measure(name) for name in "ab"}, rounds=2, seconds=0.1)
    assert asked == [("a", 2), ("b", 2), ("a", 10), ("b", 10), ("b", 10), ("a", 10)]
    assert times == {"a": [10.0, 10.0], "b": [10.0, 10.0]}
    assert missing == {}


def test_what_cannot_be_measured_is_said_with_its_reason(capsys):
    def broken(repeats):
        raise MemoryError("no room\nat all")

    times, missing = in_turns({("x", 1): broken, ("y", 2): lambda repeats: 1e3}, 3, 0.01)
    print_missing(missing)
    assert times == {("y", 2): [1e3] * 3}
    assert capsys.readouterr().out == "- not measured: x, 1: MemoryError: no room at all\n"


def test_ratios_are_taken_within_a_round():
    assert ratio([2.0, 30.0, 9.6], [1.0, 10.0, 3.0]) == "3"
    assert ratio([2.0], None) == "–"
