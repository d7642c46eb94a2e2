"""Progress: counting, throttling, the estimate of the remaining time, stopping."""

import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgex_core.errors import Cancelled, InputError
from bridgex_core.progress import Progress, Snapshot, terminal_reporter, time_left


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock():
    return Clock()


def run(clock, progress, steps, seconds, amount=1.0):
    for _ in range(steps):
        clock.now += seconds
        progress.advance(amount)


def test_a_steady_rate_gives_the_exact_remaining_time(clock):
    progress = Progress(100, clock=clock)
    run(clock, progress, steps=10, seconds=2.0)
    assert progress.snapshot.fraction == pytest.approx(0.1)
    assert progress.snapshot.eta_seconds == pytest.approx(180)


def test_no_estimate_until_there_is_enough_to_judge_by(clock):
    progress = Progress(100, clock=clock)
    assert progress.snapshot.eta_seconds is None
    run(clock, progress, steps=1, seconds=5.0)
    assert progress.snapshot.eta_seconds is None, "one step pays for warming up too"
    run(clock, progress, steps=1, seconds=5.0)
    assert progress.snapshot.eta_seconds == pytest.approx(490)
    fast = Progress(100, clock=clock)
    run(clock, fast, steps=5, seconds=0.1)
    assert fast.snapshot.eta_seconds is None


def test_a_slow_start_fades_from_the_estimate(clock):
    progress = Progress(1000, clock=clock)
    run(clock, progress, steps=1, seconds=60.0)
    run(clock, progress, steps=200, seconds=1.0)
    assert progress.snapshot.eta_seconds == pytest.approx(799, rel=0.05)


def test_one_odd_step_hardly_moves_the_estimate(clock):
    progress = Progress(1000, clock=clock)
    run(clock, progress, steps=100, seconds=1.0)
    run(clock, progress, steps=1, seconds=3.0)
    assert progress.snapshot.eta_seconds == pytest.approx(899, rel=0.10)


def test_work_of_earlier_runs_does_not_distort_the_rate(clock):
    resumed = Progress(100, clock=clock, already_done=50)
    assert resumed.snapshot.fraction == 0.5
    run(clock, resumed, steps=10, seconds=2.0)
    assert resumed.snapshot.eta_seconds == pytest.approx(80)


def test_skipped_units_and_the_time_to_find_them_do_not_distort_the_rate(clock):
    progress = Progress(100, clock=clock)
    run(clock, progress, steps=5, seconds=2.0)
    clock.now += 1000
    progress.skip(45)
    run(clock, progress, steps=5, seconds=2.0)
    assert progress.snapshot.done == 55
    assert progress.snapshot.eta_seconds == pytest.approx(90)


def test_asking_only_whether_to_stop_leaves_the_rate_alone(clock):
    progress = Progress(10, clock=clock)
    for _ in range(4):
        clock.now += 1.0
        progress.advance(0)
        clock.now += 1.0
        progress.advance(1)
    assert progress.snapshot.eta_seconds == pytest.approx(12)


def test_reports_come_at_the_start_four_times_a_second_and_at_the_end(clock):
    seen: list[tuple[float, float]] = []
    progress = Progress(1000, lambda now: seen.append((clock.now, now.fraction)), clock=clock)
    run(clock, progress, steps=1000, seconds=0.01)
    assert seen[0] == (100.0, 0.0)
    assert seen[-1][1] == 1.0
    assert 39 <= len(seen) <= 42  # ten seconds
    gaps = [b - a for (a, _), (b, _) in pairwise(seen[:-1])]
    assert min(gaps) >= 0.25 - 1e-9


def test_the_end_is_reported_even_when_fractions_do_not_add_up_exactly(clock):
    seen: list[Snapshot] = []
    progress = Progress(1.0, seen.append, clock=clock)
    run(clock, progress, steps=10, seconds=0.001, amount=0.1)  # sums to 0.9999999999999999
    assert seen[-1].fraction == pytest.approx(1.0)
    assert len(seen) == 2


def test_more_units_than_announced_stay_at_the_end(clock):
    progress = Progress(2, clock=clock)
    run(clock, progress, steps=5, seconds=1.0)
    assert progress.snapshot.fraction == 1.0
    assert progress.snapshot.eta_seconds == 0.0


def test_nothing_to_do_is_done():
    assert Progress(0).snapshot.fraction == 1.0


def test_the_last_message_stays(clock):
    seen: list[str] = []
    progress = Progress(3, lambda now: seen.append(now.message), clock=clock)
    for message in ("loading", "", "counting"):
        clock.now += 1.0
        progress.advance(1, message)
    assert seen == ["", "loading", "loading", "counting"]


def test_what_comes_next_is_announced_at_once(clock):
    seen: list[str] = []
    progress = Progress(3, lambda now: seen.append(now.message), clock=clock)
    for message in ("loading", "loading", "counting"):
        progress.advance(0, message)
        progress.advance(0)
    progress.advance(1, "counted")
    assert seen == ["", "loading", "counting"]


def test_a_wish_to_stop_raises_after_the_finished_unit_was_counted(clock):
    stop = False
    seen: list[float] = []
    progress = Progress(4, lambda now: seen.append(now.done), lambda: stop, clock=clock)
    progress.advance(1)
    stop = True
    with pytest.raises(Cancelled):
        progress.advance(1)
    assert seen == [0, 2], "where it stopped is told at once"


@pytest.mark.parametrize("amount", [-1, float("nan"), float("inf")])
def test_amounts_that_make_no_sense_are_refused(amount):
    with pytest.raises(InputError, match="total"):
        Progress(amount)
    with pytest.raises(InputError, match="amount"):
        Progress(1).advance(amount)


@given(
    st.lists(st.tuples(st.floats(0.01, 100), st.floats(0.01, 100)), min_size=2, max_size=30),
    st.floats(1, 1e4),
)
def test_the_estimate_lies_between_the_fastest_and_the_slowest_step(steps, left):
    clock = Clock()
    progress = Progress(sum(amount for amount, _ in steps) + left, clock=clock)
    for amount, seconds in steps:
        clock.now += seconds
        progress.advance(amount)
    eta = progress.snapshot.eta_seconds
    paces = [seconds / amount for amount, seconds in steps]
    if eta is None:
        assert sum(seconds for _, seconds in steps) < 1.0 + 1e-6
    else:
        assert left * min(paces) * (1 - 1e-6) <= eta <= left * max(paces) * (1 + 1e-6)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0.0, "about 1 s left"),
        (12, "about 10 s left"),
        (58, "about 1 min left"),
        (3540, "about 59 min left"),
        (3599, "about 1 h 0 min left"),
        (36000, "about 10 h 0 min left"),
    ],
)
def test_time_left_in_words(seconds, words):
    assert time_left(seconds) == words


def test_a_terminal_gets_one_line_rewritten_in_place(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    report = terminal_reporter(stream)
    report(Snapshot(1, 4, "Swahili", 90))
    report(Snapshot(2, 4, "x" * 100, None))
    report(Snapshot(4, 4, "Swahili", 0.0))
    report(Snapshot(5, 4, "Swahili", 0.0))
    first, second, third = stream.getvalue().split("\r")[1:]
    assert first == " 25%  about 2 min left  Swahili\x1b[K"
    assert second == f" 50%  {'x' * 33}\x1b[K"
    assert third == "100%  Swahili\x1b[K\n"


def test_a_file_gets_nothing():
    stream = io.StringIO()
    terminal_reporter(stream)(Snapshot(1, 4, "Swahili", 90))
    assert stream.getvalue() == ""
