"""Rankers of bridges against each other, and against what bridging measurably gains.

Tables are long: one row a pair of languages and bridge. Scores have a column a ranker; measured
values, such as the mean reciprocal rank, are one column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .errors import InputError
from .statistical_tests import bootstrap_interval

PAIR = ["source", "target"]
PLACE = [*PAIR, "bridge"]
COMBINED = "combined"
_EQUAL = 1e-9  # of a score: a smaller difference is rounding
_RIDGE = 1.0  # prior of the weights, in units of one observation of each standardised score


def kendall(scores: pd.DataFrame, rankers: Sequence[str]) -> pd.DataFrame:
    """Kendall's tau-b between rankers, the mean over the pairs, rankers × rankers.

    Parameters
    ----------
    scores : columns :data:`PLACE` and one a ranker, higher is better; NaN where it cannot tell.

    A pair on which a ranker gives all bridges one score says nothing of it and is left out; NaN
    where no pair is left.
    """
    values = np.full((len(rankers), len(rankers)), np.nan)
    groups = [group for _, group in scores.groupby(PAIR)]
    for i, one in enumerate(rankers):
        for j, other in enumerate(rankers[: i + 1]):
            taus = [_tau(group[one].to_numpy(), group[other].to_numpy()) for group in groups]
            known = [tau for tau in taus if np.isfinite(tau)]
            if known:
                values[i, j] = values[j, i] = float(np.mean(known))
    return pd.DataFrame(values, index=list(rankers), columns=list(rankers))


def _tau(a: np.ndarray, b: np.ndarray) -> float:
    from scipy.stats import kendalltau  # slow to load, and most pages compare nothing

    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 2 or any(np.ptp(x) <= _EQUAL * np.abs(x).max() for x in (a[both], b[both])):
        return float("nan")
    return float(kendalltau(a[both], b[both]).statistic)


def losses(scores: pd.DataFrame, measured: pd.DataFrame, ranker: str, value: str) -> pd.DataFrame:
    """What a ranker's first choice loses against the best bridge, pair by pair.

    Returns
    -------
    A row a pair that both tables hold: ``source``, ``target``, ``regret`` (the best bridge's value
    less the chosen one's; the mean of the choices where several are first) and ``hit`` (share of
    the first choices that are best). Pairs on which the ranker cannot tell are left out.
    """
    both = scores[[*PLACE, ranker]].merge(_known(measured, value), on=PLACE)
    rows = []
    for (source, target), group in both.groupby(PAIR):
        judged = group[np.isfinite(group[ranker])]
        if judged.empty:
            continue
        top = judged[ranker].max()
        first = judged[judged[ranker] >= top - _EQUAL * abs(top)][value]
        best = group[value].max()
        rows.append((source, target, float(best - first.mean()), float((first == best).mean())))
    return pd.DataFrame(rows, columns=[*PAIR, "regret", "hit"])


def quality(
    scores: pd.DataFrame,
    measured: pd.DataFrame,
    rankers: Sequence[str],
    value: str = "mrr",
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """How good each ranker's first choices are, lowest regret first.

    All on the pairs that every one of them can judge, or the regrets would not compare; a ranker
    that can judge no pair is left out.

    Columns: ``ranker``, ``pairs``, ``hits`` (mean share of first choices that are the best
    bridge), ``regret`` with ``low`` and ``high`` (95 %, bootstrap over the pairs; pairs share
    languages, so the truth is less sure than that).
    """
    lost = pd.concat([losses(scores, measured, r, value).assign(ranker=r) for r in rankers])
    able = lost["ranker"].nunique()
    shared = lost[lost.groupby(PAIR)["ranker"].transform("nunique") == able]
    rows = []
    for ranker, judged in shared.groupby("ranker", sort=False):
        mean = bootstrap_interval(judged["regret"].to_numpy(), seed=seed)
        rows.append((ranker, len(judged), judged["hit"].mean(), mean.value, mean.low, mean.high))
    columns = ["ranker", "pairs", "hits", "regret", "low", "high"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.sort_values("regret", kind="stable", ignore_index=True)


def _known(measured: pd.DataFrame, value: str) -> pd.DataFrame:
    """Where the value was measured."""
    return measured[[*PLACE, value]].dropna(subset=[value])


@dataclass(frozen=True)
class Combination:
    """A weighting of rankers, fitted to measured values.

    Attributes
    ----------
    rankers : R names.
    weights : float64 (R,), of their scores standardised within a pair.
    pairs : how many pairs it was fitted on.
    """

    rankers: tuple[str, ...]
    weights: np.ndarray
    pairs: int

    def score(self, scores: pd.DataFrame) -> np.ndarray:
        """One score a row of the table."""
        return _features(scores, self.rankers) @ self.weights


def fit_combination(
    scores: pd.DataFrame, measured: pd.DataFrame, rankers: Sequence[str], value: str = "mrr"
) -> Combination:
    """Ridge regression of measured values on scores, both standardised within each pair.

    Raises
    ------
    InputError
        No pair is in both tables.
    """
    both = scores.merge(_known(measured, value), on=PLACE)
    if both.empty:
        raise InputError("No pair has been measured: nothing to fit a combination to.")
    x, y = _features(both, rankers), _features(both, [value])[:, 0]
    weights = np.linalg.solve(x.T @ x + _RIDGE * np.eye(len(rankers)), x.T @ y)
    return Combination(tuple(rankers), weights, len(both.drop_duplicates(PAIR)))


def left_out_scores(
    scores: pd.DataFrame, measured: pd.DataFrame, rankers: Sequence[str], value: str = "mrr"
) -> pd.Series:
    """The combination's score of every row, fitted on the pairs of other targets alone.

    NaN where no other target has been measured.
    """
    combined = pd.Series(np.nan, index=scores.index, name=COMBINED)
    for target, group in scores.groupby("target"):
        others = scores[scores["target"] != target], measured[measured["target"] != target]
        if others[0].merge(_known(others[1], value), on=PLACE).empty:
            continue
        combined[group.index] = fit_combination(*others, rankers, value).score(group)
    return combined


def _features(table: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """(rows, columns): standardised within each pair; 0 where unknown or all alike."""
    scores = table[list(columns)]
    groups = table.groupby(PAIR)[list(columns)]
    spread = groups.transform("std", ddof=0)
    values = (scores - groups.transform("mean")) / spread.where(spread > _EQUAL * scores.abs())
    return values.fillna(0.0).to_numpy(dtype=np.float64)


def recommended(quality_table: pd.DataFrame) -> str | None:
    """The ranker of lowest regret; the combination only if it is lower than every single one."""
    if quality_table.empty:
        return None
    singles = quality_table[quality_table["ranker"] != COMBINED]
    combined = quality_table[quality_table["ranker"] == COMBINED]
    if singles.empty:
        return None
    best = singles.loc[singles["regret"].idxmin()]
    if not combined.empty and combined["regret"].iloc[0] < best["regret"]:
        return COMBINED
    return str(best["ranker"])
