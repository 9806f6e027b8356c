"""When something is due next."""

from vmdirac.agent.timer import Timer


def test_back_off_grows_with_full_jitter_up_to_its_bound() -> None:
    longest, shortest = Timer(), Timer()
    pauses = []
    for _ in range(9):
        longest.failed(100.0, 60.0, 1.0)
        shortest.failed(100.0, 60.0, 0.0)
        pauses.append(longest.due - 100.0)
        assert shortest.due == 100.0
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    longest.failed(100.0, 60.0, 0.1, at_least=90.0)
    assert longest.due == 190.0
    longest.succeeded(300.0)
    longest.failed(400.0, 60.0, 1.0)
    assert longest.due == 400.5
