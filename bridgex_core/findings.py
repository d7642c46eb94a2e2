"""What evaluations show: how far a study is, its gains in words, and item by item.

A gain is the bridged route's mean over the items less the direct route's, in points of 100.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from .evaluation import Evaluation, RouteResult
from .languages import Register
from .study import Evaluations, Study

ALPHA = 0.05
"""A gain whose p-value, after Holm's correction, is at most this is called significant."""

MEASURES: dict[str, str] = {
    "accuracy": "accuracy",
    "chrF": "chrF",
    "mrr": "mean reciprocal rank",
}
"""Measures by the columns that tables have of them, and their names within a sentence."""

_PAIR = ["source", "target"]


@dataclass(frozen=True)
class Progressed:
    """What there is of a study.

    Attributes
    ----------
    results : by pair, the routes that are wholly there; only pairs whose direct route is.
    routes, stored : how many routes the study has, and how many are there.
    """

    results: Mapping[tuple[str, str], Evaluation]
    routes: int
    stored: int


def progressed(study: Study, evaluations: Evaluations, register: Register) -> Progressed:
    """The routes of a study that are kept, whether or not all of their pair are."""
    results, routes, stored = {}, 0, 0
    for pair in study.pairs:
        tasks, of_pair = study.tasks(pair), study.routes(pair, register)
        there = [route for route in of_pair if not evaluations.missing(tasks, [route])]
        routes += len(of_pair)
        stored += len(there)
        if there and not there[0].bridges:
            found = evaluations.evaluation(tasks, there)
            if found is not None:
                results[pair] = found
    return Progressed(results, routes, stored)


def bridged(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """The gains of a table of routes: one row a pair and bridge.

    Parameters
    ----------
    table : of :func:`bridgex_core.study.study_table`.
    measure : a key of :data:`MEASURES`.

    Returns
    -------
    Columns ``source``, ``target``, ``bridge``, ``direct`` and ``value`` (what the direct route and
    this one reach), ``gain``, ``low``, ``high``, ``p_value``, ``p_holm``; numbers in points. Empty
    where the table does not have the measure.
    """
    prefix = "mrr_" if measure == "mrr" else ""
    columns = {
        measure: "value",
        f"{prefix}difference": "gain",
        f"{prefix}difference_low": "low",
        f"{prefix}difference_high": "high",
        f"{prefix}p_value": "p_value",
        f"{prefix}p_holm": "p_holm",
    }
    if not set(columns) <= set(table):
        return pd.DataFrame(columns=[*_PAIR, "bridge", "direct", *columns.values()])
    direct = table.loc[table["bridge"] == "", [*_PAIR, measure]]
    through = table.loc[table["bridge"] != "", [*_PAIR, "bridge", *columns]].rename(columns=columns)
    found = through.merge(direct.rename(columns={measure: "direct"}), on=_PAIR)
    found = found.dropna(subset=["gain"]).reset_index(drop=True)
    points = ["direct", "value", "gain", "low", "high"]
    found[points] = 100 * found[points]
    return found


def in_words(gains: pd.DataFrame, measure: str, register: Register) -> str:
    """One paragraph that says what :func:`bridged` found, whichever way it comes out."""
    if gains.empty:
        return f"No bridged route has been measured by {MEASURES[measure]} yet."
    per_pair = gains.groupby(_PAIR)["gain"]
    ends = gains.iloc[0][_PAIR].tolist()
    where = (
        f"over {len(per_pair)} pairs of languages"
        if len(per_pair) > 1
        else f"from {' to '.join(_names(ends, register))}"
    )
    sentences = [
        f"{_counted(len(gains), 'bridged route')} {where}: against the direct route, bridging "
        f"{_changed(gains, measure)}",
        _tally(gains["gain"]),
        _significance(gains),
        _by_bridge(gains, register),
    ]
    if len(per_pair) > 1 and per_pair.size().max() > 1:
        sentences.append(
            "Taking for each pair the bridge that turned out best would gain "
            f"{_signed(per_pair.max().mean())} points on average; that is an upper bound, since it "
            "looks at the answers."
        )
    return " ".join(filter(None, sentences))


def _changed(gains: pd.DataFrame, measure: str) -> str:
    mean, before, after = (float(gains[name].mean()) for name in ("gain", "direct", "value"))
    if f"{abs(mean):.1f}" == "0.0":
        return f"leaves the {MEASURES[measure]} as it is on average, {before:.1f}."
    return (
        f"{'raises' if mean > 0 else 'lowers'} the {MEASURES[measure]} by {abs(mean):.1f} points "
        f"on average, from {before:.1f} to {after:.1f}."
    )


def _tally(gain: pd.Series) -> str:
    up, down = int((gain > 0).sum()), int((gain < 0).sum())
    return (
        f"It is higher on {up} of the routes, lower on {down} and the same on "
        f"{len(gain) - up - down}."
    )


def _significance(gains: pd.DataFrame) -> str:
    sure = gains.loc[gains["p_holm"] <= ALPHA, "gain"]
    corrected = f"After Holm's correction over {_counted(len(gains), 'test')}"
    if sure.empty:
        return f"{corrected} no difference is significant at {ALPHA:g}: each of them may be chance."
    up = int((sure > 0).sum())
    told = [
        _counted(number, noun)
        for number, noun in ((up, "gain"), (len(sure) - up, "loss"))
        if number
    ]
    verb = "is" if len(sure) == 1 else "are"
    rest = "; any other difference may be chance" if len(sure) < len(gains) else ""
    return f"{corrected} {' and '.join(told)} {verb} significant at {ALPHA:g}{rest}."


def _by_bridge(gains: pd.DataFrame, register: Register) -> str:
    means = gains.groupby("bridge", sort=False)["gain"].mean().round(1)
    if means.nunique() < 2:
        return ""
    best, worst = (
        ", ".join(_names(means.index[means == value], register))
        for value in (means.max(), means.min())
    )
    average = " on average" if len(gains) > len(means) else ""
    return (
        f"Best as a bridge{average}: {best} ({_signed(means.max())} points); worst: {worst} "
        f"({_signed(means.min())})."
    )


def _names(codes: Iterable[str], register: Register) -> list[str]:
    return [register[code].name if code in register else code for code in codes]


def _counted(number: int, noun: str) -> str:
    plural = "losses" if noun == "loss" else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def _signed(points: float) -> str:
    size = f"{abs(points):.1f}"
    return size if not float(size) else f"{'−' if points < 0 else '+'}{size}"


def changed_items(evaluation: Evaluation, route: int) -> pd.DataFrame:
    """The items that a bridged route fixes and breaks, with what both routes wrote.

    Columns: ``change`` (``fixed`` or ``broken``), ``item``, ``accepted``, ``direct`` (the answer),
    ``bridge`` (what stood between, steps joined by →), ``bridged`` (the answer). Where several
    seeds were run, the different answers are joined by "; ".
    """
    told = evaluation.compared(route)
    columns = ["change", "item", "accepted", "direct", "bridge", "bridged"]
    if told is None:
        return pd.DataFrame(columns=columns)
    codes = evaluation.routes[route]
    direct = evaluation.routes.index((codes[0], codes[-1]))
    rows = [
        (
            change,
            evaluation.items[item],
            "; ".join(evaluation.gold[item]),
            _answers(evaluation.runs[direct], item, last=True),
            _answers(evaluation.runs[route], item, last=False),
            _answers(evaluation.runs[route], item, last=True),
        )
        for change, items in (("fixed", told.fixed), ("broken", told.broken))
        for item in items
    ]
    return pd.DataFrame(rows, columns=columns)


def _answers(runs: tuple[RouteResult, ...], item: int, *, last: bool) -> str:
    every = [run.answers[item][-1:] if last else run.answers[item][:-1] for run in runs]
    return "; ".join(dict.fromkeys(" → ".join(each) for each in every))


def all_items(evaluation: Evaluation) -> pd.DataFrame:
    """Every item along every route and seed: answers, score, ranks.

    Columns: ``item``, ``accepted``, ``route``, ``run``, ``answers`` (steps joined by →), ``score``
    and, where there are ranks, one ``rank …`` a ranking.
    """
    frames = []
    for runs in evaluation.runs:
        for number, run in enumerate(runs):
            frames.append(
                pd.DataFrame(
                    {
                        "item": evaluation.items,
                        "accepted": ["; ".join(gold) for gold in evaluation.gold],
                        "route": " ".join(run.route),
                        "run": number,
                        "answers": [" → ".join(each) for each in run.answers],
                        "score": run.scores,
                        **{f"rank {name}": ranks for name, ranks in run.ranks.items()},
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)
