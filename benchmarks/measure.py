"""Timing in pairs, and a report that fails when a ratio is missed."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def paired(work: Sequence[Callable[[], object]], rounds: int = 5) -> list[list[float]]:
    """Seconds of each callable, a row a round, in turn: a drifting machine hits all alike.

    One round to warm up is not counted.
    """
    for each in work:
        each()
    return [[seconds(each) for each in work] for _ in range(rounds)]


def median_ratio(rows: Sequence[Sequence[float]], above: int, below: int) -> float:
    """Median over the rounds of column ``above`` divided by column ``below``."""
    return statistics.median(row[above] / row[below] for row in rows)


@dataclass
class Report:
    """Lines for people, and which promises were missed."""

    missed: list[str] = field(default_factory=list)

    def note(self, line: str) -> None:
        """Report a figure that nothing is promised of."""
        print(f"   {line}", flush=True)

    def promise(self, what: str, value: float, *, at_least: float = 0, at_most: float = 0) -> None:
        """Check a ratio against its bound."""
        kept = value >= at_least if at_least else value <= at_most
        bound = f">= {at_least:g}" if at_least else f"<= {at_most:g}"
        print(f"{'ok' if kept else 'NO'} {what}: {value:.3g} ({bound})", flush=True)
        if not kept:
            self.missed.append(what)

    def finish(self) -> int:
        """Exit status: 1 when a promise was missed."""
        if self.missed:
            print(f"missed: {'; '.join(self.missed)}", file=sys.stderr)
        return 1 if self.missed else 0
