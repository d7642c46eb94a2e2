"""Independent pieces of numpy work, side by side on the processors there are."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """``work`` of every item, in the order of the items.

    Worthwhile where numpy does most of the work, which lets other threads run meanwhile. It takes
    as many threads as there are processors, or as OMP_NUM_THREADS allows numpy's own products.

    >>> in_threads(len, ["a", "bc"])
    [1, 2]
    """
    threads = min(_threads(), len(items))
    if threads < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))


def _threads() -> int:
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    if allowed.isdecimal():
        return int(allowed)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
