"""How far a long computation is, how long it still needs, and whether it should stop."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TextIO

from bridgex_core.errors import Cancelled, InputError

# Rates forget what is older than about this long, so that a slow start fades from the estimate.
_MEMORY_SECONDS = 30.0
# No estimate before this much work has been timed: the first step also pays for warming up.
_ENOUGH_STEPS = 2
_ENOUGH_SECONDS = 1.0
_REPORT_SECONDS = 0.25


class Advances(Protocol):
    """What counts finished units of work and may stop the work by raising ``Cancelled``."""

    def advance(self, amount: float, message: str = "") -> None:
        """Count finished units of work."""


@dataclass(frozen=True)
class Snapshot:
    """One moment of a computation.

    ``done`` and ``total`` are in the caller's own units (tokens, prompts, pairs); ``eta_seconds``
    is the estimated remaining time, None while there is too little to judge by.
    """

    done: float
    total: float
    message: str
    eta_seconds: float | None

    @property
    def fraction(self) -> float:
        """Share done, 0 to 1; work without any units is done."""
        return min(self.done / self.total, 1.0) if self.total > 0 else 1.0


class Progress:
    """Counts units of work, estimates the remaining time and passes on a wish to stop.

    Parameters
    ----------
    total : units in all, >= 0, those of earlier runs included.
    report : called with a Snapshot at the start, then at most 4 times a second, and at the end.
    cancelled : asked after every step; when it answers True the step raises ``Cancelled``.
    clock : seconds, monotonic.
    already_done : units that an earlier run finished; they count as done, not towards the rate.

    >>> progress = Progress(4, report=lambda now: print(f"{now.fraction:.0%}", now.message or "-"))
    0% -
    >>> for step in range(4):
    ...     progress.advance(1, f"step {step}")
    100% step 3
    """

    def __init__(
        self,
        total: float,
        report: Callable[[Snapshot], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        already_done: float = 0.0,
    ) -> None:
        self._total = _amount(total, "total")
        self._done = _amount(already_done, "already_done")
        self._report = report
        self._cancelled = cancelled
        self._clock = clock
        self._message = ""
        self._steps = 0
        self._worked_seconds = 0.0
        # Both decay alike, so their quotient is a weighted mean rate without a starting bias.
        self._recent_units = 0.0
        self._recent_seconds = 0.0
        self._last_step = self._last_report = clock()
        self._send()

    @property
    def snapshot(self) -> Snapshot:
        """The present moment."""
        return Snapshot(self._done, self._total, self._message, self._eta())

    def advance(self, amount: float, message: str = "") -> None:
        """Count ``amount`` finished units; an empty message keeps the last one.

        Call it after the units are safely stored: it raises ``Cancelled`` when asked to stop.
        An amount of 0 only asks whether to stop, and tells a new message at once.
        """
        amount = _amount(amount, "amount")
        if amount > 0:
            now = self._clock()
            self._time(amount, now - self._last_step)
            self._last_step = now
        self._step(amount, message)

    def skip(self, amount: float, message: str = "") -> None:
        """Count units that were found finished; neither they nor the time spent finding them
        enter the rate."""
        self._last_step = self._clock()
        self._step(_amount(amount, "amount"), message)

    def _step(self, amount: float, message: str) -> None:
        # Sums of fractions may miss the total by a rounding error.
        end = self._total * (1 - 1e-9)
        ends = self._done < end <= self._done + amount
        self._done += amount
        told, self._message = self._message, message or self._message
        announces = amount == 0 and self._message != told
        stop = self._cancelled is not None and self._cancelled()
        if ends or announces or stop or self._clock() - self._last_report >= _REPORT_SECONDS:
            self._send()
        if stop:
            raise Cancelled(f"Stopped at {self.snapshot.fraction:.0%}, as asked.")

    def _time(self, amount: float, seconds: float) -> None:
        fade = math.exp(-seconds / _MEMORY_SECONDS)
        self._recent_units = self._recent_units * fade + amount
        self._recent_seconds = self._recent_seconds * fade + seconds
        self._worked_seconds += seconds
        self._steps += 1

    def _eta(self) -> float | None:
        left = max(self._total - self._done, 0.0)
        if left == 0:
            return 0.0
        if self._steps < _ENOUGH_STEPS or self._worked_seconds < _ENOUGH_SECONDS:
            return None
        return left * self._recent_seconds / self._recent_units

    def _send(self) -> None:
        self._last_report = self._clock()
        if self._report is not None:
            self._report(self.snapshot)


def stage(
    report: Callable[[Snapshot], None] | None, number: int, stages: int
) -> Callable[[Snapshot], None] | None:
    """The report of one of several stages, which tells it as a share of all of them.

    Stages count alike, from 0; the time that is left is known in the last one alone.

    >>> second = stage(lambda now: print(f"{now.fraction:.0%}", now.eta_seconds), 1, 2)
    >>> second(Snapshot(3, 6, "", 20.0))
    75% 20.0
    """
    if report is None:
        return None

    def told(now: Snapshot) -> None:
        left = now.eta_seconds if number == stages - 1 else None
        report(Snapshot(number + now.fraction, stages, now.message, left))

    return told


def time_left(seconds: float | None) -> str:
    """The remaining time in words; empty when it is not known.

    >>> time_left(None), time_left(42), time_left(200), time_left(7800)
    ('', 'about 40 s left', 'about 3 min left', 'about 2 h 10 min left')
    """
    if seconds is None:
        return ""
    if seconds < 57.5:  # what rounds to less than a minute
        return f"about {max(5 * round(seconds / 5), 1)} s left"
    minutes = max(round(seconds / 60), 1)
    if minutes < 60:
        return f"about {minutes} min left"
    return f"about {minutes // 60} h {minutes % 60} min left"


def terminal_reporter(stream: TextIO) -> Callable[[Snapshot], None]:
    """A report for ``Progress``: one line, rewritten in place, if ``stream`` is a terminal.

    Elsewhere (a file, a pipe) it writes nothing.
    """
    if not stream.isatty():
        return lambda snapshot: None

    ended = False

    def report(snapshot: Snapshot) -> None:
        nonlocal ended
        if ended:  # more units than announced: the line is closed already
            return
        ended = snapshot.fraction >= 1
        left = "" if ended else time_left(snapshot.eta_seconds)
        line = "  ".join(filter(None, (f"{snapshot.fraction:4.0%}", left, snapshot.message)))
        width = shutil.get_terminal_size().columns - 1
        stream.write(f"\r{line[:width]}\x1b[K" + ("\n" if ended else ""))
        stream.flush()

    return report


def _amount(value: float, name: str) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"Progress needs a {name} of 0 or more, not {value}.")
    return float(value)
