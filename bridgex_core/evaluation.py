"""What chains achieve: item by item, as rates with intervals, and tested against the direct one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from .errors import InputError
from .scoring import normalise
from .statistical_tests import bootstrap_interval, holm, mcnemar, paired_bootstrap

RANKINGS = ("summed", "per token", "calibrated")
"""How the gold word's rank is counted: by log-probability, that by token, or less the prior."""

LITTLE = 0.1
"""Where a smaller share is right, accuracy can hardly change: ranks tell more."""


@dataclass(frozen=True)
class RouteResult:
    """One run of a task's N items along one route.

    Attributes
    ----------
    route : FLORES codes.
    scores : float64 (N,), each 0 to 1: right or wrong, or a share such as chrF/100.
    answers : N times one answer a step of the chain.
    ranks : where the gold word stands among the candidates, by the names in :data:`RANKINGS`, int64
        (N,) from 1; empty where there are no candidates or the backend gives no scores.
    """

    route: tuple[str, ...]
    scores: np.ndarray
    answers: tuple[tuple[str, ...], ...]
    ranks: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sizes = {len(self.scores), len(self.answers), *map(len, self.ranks.values())}
        if len(sizes) != 1:
            raise ValueError("scores, answers and ranks are not of the same items")

    @property
    def bridge(self) -> str | None:
        """The first language between source and target; None for a direct chain."""
        return self.route[1] if len(self.route) > 2 else None

    def tensors(self) -> dict[str, np.ndarray]:
        """What the store keeps, beside :meth:`texts` in the manifest."""
        return {"scores": self.scores, **{f"rank {k}": v for k, v in self.ranks.items()}}

    def texts(self) -> dict[str, Any]:
        """What of it the manifest holds."""
        return {"route": list(self.route), "answers": [list(each) for each in self.answers]}

    @classmethod
    def from_entry(
        cls, tensors: Mapping[str, np.ndarray], manifest: Mapping[str, Any]
    ) -> RouteResult:
        """The inverse of :meth:`tensors` and :meth:`texts`."""
        ranks = {
            name.removeprefix("rank "): values
            for name, values in tensors.items()
            if name.startswith("rank ")
        }
        answers = tuple(tuple(each) for each in manifest["answers"])
        return cls(tuple(manifest["route"]), tensors["scores"], answers, ranks)


@dataclass(frozen=True)
class Comparison:
    """A bridged route against the direct one, on the same items.

    Attributes
    ----------
    difference, low, high : of the mean scores, with a 95 % interval (paired bootstrap).
    p_value : of the test named by ``test``.
    test : ``McNemar`` for right or wrong in one run, else ``paired bootstrap``.
    fixed, broken : items that only the bridged, or only the direct chain gets right (more than
        half of its runs).
    """

    difference: float
    low: float
    high: float
    p_value: float
    test: str
    fixed: tuple[int, ...]
    broken: tuple[int, ...]


@dataclass(frozen=True)
class Evaluation:
    """A task's items along several routes, each in one run a seed.

    Attributes
    ----------
    task : its name, such as ``bli``.
    measure : what a score is, ``accuracy`` or ``chrF``.
    items : N texts that were asked.
    gold : N times the accepted answers.
    runs : routes × seeds; the same seeds for every route.
    """

    task: str
    measure: str
    items: tuple[str, ...]
    gold: tuple[tuple[str, ...], ...]
    runs: tuple[tuple[RouteResult, ...], ...]

    def __post_init__(self) -> None:
        if any(len(run.scores) != len(self.items) for runs in self.runs for run in runs):
            raise ValueError("a run is not of these items")
        if len({len(runs) for runs in self.runs}) != 1:
            raise ValueError("the routes were not run with the same seeds")

    @property
    def routes(self) -> tuple[tuple[str, ...], ...]:
        """FLORES codes of every route."""
        return tuple(runs[0].route for runs in self.runs)

    @property
    def is_hardly_right(self) -> bool:
        """Whether less than :data:`LITTLE` is right, the mean over all routes."""
        means = [self.scores(route).mean() for route in range(len(self.runs))]
        return self.measure == "accuracy" and float(np.mean(means)) < LITTLE

    def scores(self, route: int) -> np.ndarray:
        """(N,) mean over the seeds."""
        return np.mean([run.scores for run in self.runs[route]], axis=0)

    def reciprocal_ranks(self, route: int, ranking: str = RANKINGS[0]) -> np.ndarray | None:
        """(N,) mean over the seeds of 1/rank; None where there are no ranks."""
        return self._mean_of_ranks(route, ranking, lambda ranks: 1 / ranks)

    def first_ranks(self, route: int, ranking: str = RANKINGS[0]) -> np.ndarray | None:
        """(N,) share of the seeds in which the gold word comes first; None without ranks."""
        return self._mean_of_ranks(route, ranking, lambda ranks: (ranks == 1).astype(float))

    def _mean_of_ranks(self, route: int, ranking: str, value: Any) -> np.ndarray | None:
        runs = self.runs[route]
        if not all(ranking in run.ranks for run in runs):
            return None
        return np.mean([value(run.ranks[ranking]) for run in runs], axis=0)

    def compared(self, route: int, *, seed: int = 0) -> Comparison | None:
        """A bridged route against the direct one; None for that itself or where it was not run."""
        direct = self._direct_of(route)
        if direct is None:
            return None
        bridged, plain = self.scores(route), self.scores(direct)
        change = paired_bootstrap(plain, bridged, seed=seed)
        right, before = bridged > 0.5, plain > 0.5
        single = len(self.runs[0]) == 1 and self.measure == "accuracy"
        return Comparison(
            change.difference,
            change.low,
            change.high,
            mcnemar(before, right).p_value if single else change.p_value,
            "McNemar" if single else "paired bootstrap",
            tuple(np.flatnonzero(right & ~before).tolist()),
            tuple(np.flatnonzero(before & ~right).tolist()),
        )

    def _direct_of(self, route: int) -> int | None:
        """The direct route to compare a bridged one with."""
        direct = next((i for i, codes in enumerate(self.routes) if len(codes) == 2), None)
        return None if direct == route else direct

    def table(self, ranking: str = RANKINGS[0], *, seed: int = 0) -> pd.DataFrame:
        """One row a route.

        Columns: ``bridge`` (empty for direct), ``route``, the measure with ``low`` and ``high``
        (95 %, bootstrap over the items). Where there are ranks, ``mrr`` (mean reciprocal rank) and
        ``first`` (share of gold words at rank 1), each with its interval, ``mrr_low`` and so on.
        Against direct: ``difference``, ``difference_low``, ``difference_high``, ``p_value``,
        ``p_holm`` (Holm's correction over the bridges), ``test``, ``fixed`` and ``broken`` (numbers
        of items); of the mean reciprocal rank by paired bootstrap ``mrr_difference``,
        ``mrr_difference_low``, ``mrr_difference_high``, ``mrr_p_value``, ``mrr_p_holm``.
        """
        rows = [self._row(route, ranking, seed) for route in range(len(self.runs))]
        return corrected(pd.DataFrame(rows))

    def _row(self, route: int, ranking: str, seed: int) -> dict[str, Any]:
        result, scores = self.runs[route][0], self.scores(route)
        interval = bootstrap_interval(scores, seed=seed)
        row: dict[str, Any] = {
            "bridge": result.bridge or "",
            "route": " ".join(result.route),
            self.measure: float(scores.mean()),
            "low": interval.low,
            "high": interval.high,
        }
        against = self.compared(route, seed=seed)
        if against is not None:
            row |= {
                "difference": against.difference,
                "difference_low": against.low,
                "difference_high": against.high,
                "p_value": against.p_value,
                "test": against.test,
                "fixed": len(against.fixed),
                "broken": len(against.broken),
            }
        return row | self._ranks_in_row(route, ranking, seed)

    def _ranks_in_row(self, route: int, ranking: str, seed: int) -> dict[str, Any]:
        reciprocal = self.reciprocal_ranks(route, ranking)
        first = self.first_ranks(route, ranking)
        if reciprocal is None or first is None:
            return {}
        row: dict[str, Any] = {}
        for name, values in (("mrr", reciprocal), ("first", first)):
            interval = bootstrap_interval(values, seed=seed)
            row |= {name: interval.value, f"{name}_low": interval.low}
            row[f"{name}_high"] = interval.high
        direct = self._direct_of(route)
        plain = None if direct is None else self.reciprocal_ranks(direct, ranking)
        if plain is not None:
            change = paired_bootstrap(plain, reciprocal, seed=seed)
            row |= {
                "mrr_difference": change.difference,
                "mrr_difference_low": change.low,
                "mrr_difference_high": change.high,
                "mrr_p_value": change.p_value,
            }
        return row


def corrected(table: pd.DataFrame) -> pd.DataFrame:
    """A table of tests with Holm's correction over all of its rows, for each measure by itself.

    Columns ``p_holm`` and ``mrr_p_holm``, from ``p_value`` and ``mrr_p_value`` as far as they are
    there.
    """
    table = table.copy()
    for raw, adjusted in (("p_value", "p_holm"), ("mrr_p_value", "mrr_p_holm")):
        if raw in table:
            tested = table[raw].notna().to_numpy()
            table.loc[tested, adjusted] = holm(table.loc[tested, raw].to_numpy())
    return table


def ranks_of_gold(scores: np.ndarray, accepted: Sequence[Sequence[int]]) -> np.ndarray:
    """Where the best accepted candidate stands among all, 1 for the first; ties count against it.

    Parameters
    ----------
    scores : (N, C), higher is better.
    accepted : for each item the candidates that are right, at least one.

    >>> ranks_of_gold(np.array([[0.1, 0.5, 0.3], [0.2, 0.2, 0.1]]), [[2], [0]])
    array([2, 2])
    """
    ranks = np.empty(len(scores), dtype=np.int64)
    for item, row in enumerate(scores):
        right = list(accepted[item])
        if not right:
            raise InputError("The gold word is not among the candidates.")
        others = np.ones(len(row), dtype=bool)
        others[right] = False
        ranks[item] = 1 + int((row[others] >= row[right].max()).sum())
    return ranks


def accepted_candidates(
    candidates: Sequence[str], gold: Sequence[Sequence[str]]
) -> list[list[int]]:
    """For each item the numbers of the candidates that are one of its accepted answers."""
    found: dict[str, list[int]] = {}
    for index, candidate in enumerate(candidates):
        found.setdefault(normalise(candidate), []).append(index)
    return [
        sorted({index for answer in answers for index in found.get(normalise(answer), ())})
        for answers in gold
    ]
