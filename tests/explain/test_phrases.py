import pytest

from vmdirac.explain.phrases import ago, counted, listed, printable, span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h"), (172_800, "2 d")],
)
def test_a_time_in_the_unit_that_fits_it(seconds: float, text: str) -> None:
    assert span(seconds) == text
    assert ago(seconds) == f"{text} ago"


def test_what_is_still_to_come() -> None:
    assert ago(-30) == "in 30 s"


def test_lists_and_counts() -> None:
    assert counted({"Running": 2, "New": 0, "Submitted": 1}) == "2 Running, 1 Submitted"
    assert counted({}) == "none"
    assert listed(range(3)) == "0, 1, 2"
    assert listed(range(10), most=2) == "0, 1 and 8 more"


def test_what_others_wrote_does_nothing_to_a_terminal() -> None:
    assert printable("a\tb\x1b[2J\x07\u202e\u9b5a") == "a       b\ufffd[2J\ufffd\ufffd\u9b5a"
