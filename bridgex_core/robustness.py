"""Evaluations on perturbed inputs: what each route loses, and whether a bridge protects.

A drop is the mean over the items that a perturbation changes, as they are less as they are
perturbed; above 0 something is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from .evaluation import LITTLE, Evaluation
from .findings import ALPHA, MEASURES
from .languages import Register
from .statistical_tests import holm, mcnemar, paired_bootstrap, sign_flip
from .tasks import AnyTask, PromptTask
from .xicl import Route

_COLUMNS = (
    *("bridge", "route", "perturbation", "items", "clean", "perturbed", "drop", "low", "high"),
    *("p_value", "p_holm", "test", "against_direct", "against_low", "against_high"),
    *("against_p_value", "against_p_holm"),
)
_ENDS = ("low", "high", "against_low", "against_high")
_FEWEST = 6  # items: of fewer, drawn anew, an interval is too narrow to be told


@dataclass(frozen=True)
class Perturbed:
    """A task beside its perturbed forms, each one a seed.

    Attributes
    ----------
    clean : the tasks, which differ in their seed alone.
    tasks : the same by perturbation; only perturbations that change an item.
    idle : perturbations that change none.
    """

    clean: tuple[AnyTask, ...]
    tasks: Mapping[str, tuple[AnyTask, ...]]
    idle: tuple[str, ...]

    @classmethod
    def of(cls, clean: Sequence[AnyTask], kinds: Sequence[str]) -> Perturbed:
        """The perturbed forms of tasks that are not perturbed.

        Raises
        ------
        InputError
            There is no such perturbation, or too few words to distract with.
        """
        every = {kind: tuple(replace(task, perturbation=kind) for task in clean) for kind in kinds}
        tasks = {kind: each for kind, each in every.items() if each[0].changed.any()}
        return cls(tuple(clean), tasks, tuple(kind for kind in every if kind not in tasks))

    @property
    def changed(self) -> dict[str, np.ndarray]:
        """By perturbation which items it changes, bool (N,); no seed decides that."""
        return {kind: tasks[0].changed for kind, tasks in self.tasks.items()}

    @property
    def count(self) -> int:
        """How many items there are."""
        return len(self.clean[0].labels()[0])

    @property
    def noun(self) -> str:
        """What an item is called."""
        return "item" if isinstance(self.clean[0], PromptTask) else "word"

    def work(self, routes: Sequence[Route]) -> list[tuple[AnyTask, Route]]:
        """What there is to run beside the clean tasks."""
        return [
            (task, route) for tasks in self.tasks.values() for route in routes for task in tasks
        ]

    def samples(self, count: int = 3) -> pd.DataFrame:
        """The first items that each perturbation changes: ``perturbation``, ``item``, ``read``."""
        rows = [
            (kind, self.clean[0].labels()[0][number], _read(tasks[0], number))
            for kind, tasks in self.tasks.items()
            for number in np.flatnonzero(tasks[0].changed)[:count]
        ]
        return pd.DataFrame(rows, columns=["perturbation", "item", "read"])

    def idle_in_words(self, register: Register) -> str:
        """A sentence on the perturbations that change nothing; empty where all change something."""
        if not self.idle:
            return ""
        task = self.clean[0]
        names = " and ".join(filter(None, (", ".join(self.idle[:-1]), self.idle[-1])))
        verb = "changes" if len(self.idle) == 1 else "change"
        which = f"the {self.count} {self.noun}s of {register[task.source].name}"
        return f"{names.capitalize()} {verb} none of {which}."


def _read(task: AnyTask, number: int) -> str:
    if isinstance(task, PromptTask):
        return task.asked[number].fields[task.kind.text]
    return task.asked[number]


def drops(
    clean: Evaluation,
    perturbed: Mapping[str, Evaluation],
    changed: Mapping[str, np.ndarray],
    *,
    ranking: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """What every route loses under every perturbation; one row a perturbation and route.

    Parameters
    ----------
    clean : the items as they are.
    perturbed : by perturbation, the same items perturbed; routes that ``clean`` lacks are left out.
    changed : by perturbation which items it changes, bool (N,); one that changes none has no rows.
    ranking : None takes the scores, one of :data:`bridgex_core.evaluation.RANKINGS` the reciprocal
        ranks by it; a route without ranks has no row then.
    seed : of the bootstrap.

    Returns
    -------
    Columns ``bridge`` (empty for direct), ``route``, ``perturbation``, ``items`` (how many it
    changes: what follows is over these), ``clean`` and ``perturbed`` (means), ``drop`` with ``low``
    and ``high`` (95 %, paired bootstrap; NaN for fewer than six items), ``p_value`` and ``p_holm``
    (over all rows) by ``test`` (McNemar's for right and wrong in one run, else sign flips, see
    :func:`bridgex_core.statistical_tests.sign_flip`), and, for bridges, ``against_direct`` (the
    drop less the direct route's: below 0 the bridge protects) with ``against_low``,
    ``against_high``, ``against_p_value`` and ``against_p_holm`` (sign flips; over all bridges and
    perturbations).
    """
    whole = _values(clean, ranking)
    rows = []
    for kind, evaluation in perturbed.items():
        if (evaluation.items, evaluation.gold) != (clean.items, clean.gold):
            raise ValueError(f"{kind} was evaluated on other items")
        kept, found = np.asarray(changed[kind], dtype=bool), _values(evaluation, ranking)
        both = {c: (v[kept], found[c][kept]) for c, v in whole.items() if c in found}
        if not kept.any():
            continue
        direct = next((b - a for c, (b, a) in both.items() if len(c) == 2), None)
        right_or_wrong = ranking is None and clean.measure == "accuracy" and _runs(clean) == 1
        for codes, (before, after) in both.items():
            rows.append(
                {
                    "bridge": codes[1] if len(codes) > 2 else "",
                    "route": " ".join(codes),
                    "perturbation": kind,
                    "items": int(kept.sum()),
                    **_lost(before, after, right_or_wrong, seed),
                    **(_against(direct, before - after, seed) if len(codes) > 2 else {}),
                }
            )
    return _corrected(pd.DataFrame(rows, columns=list(_COLUMNS)))


def _runs(evaluation: Evaluation) -> int:
    return len(evaluation.runs[0])


def _values(evaluation: Evaluation, ranking: str | None) -> dict[tuple[str, ...], np.ndarray]:
    """By route a value an item; routes without ranks left out where these are asked for."""
    found = {}
    for number, codes in enumerate(evaluation.routes):
        values = (
            evaluation.scores(number)
            if ranking is None
            else evaluation.reciprocal_ranks(number, ranking)
        )
        if values is not None:
            found[codes] = values
    return found


def _lost(before: np.ndarray, after: np.ndarray, right_or_wrong: bool, seed: int) -> dict[str, Any]:
    change = paired_bootstrap(after, before, seed=seed)
    p_value = (
        mcnemar(after, before).p_value if right_or_wrong else sign_flip(after, before, seed=seed)
    )
    return {
        "clean": float(before.mean()),
        "perturbed": float(after.mean()),
        "drop": change.difference,
        "low": change.low,
        "high": change.high,
        "p_value": p_value,
        "test": "McNemar" if right_or_wrong else "sign flips",
    }


def _against(direct: np.ndarray | None, lost: np.ndarray, seed: int) -> dict[str, float]:
    if direct is None:
        return {}
    change = paired_bootstrap(direct, lost, seed=seed)
    return {
        "against_direct": change.difference,
        "against_low": change.low,
        "against_high": change.high,
        "against_p_value": sign_flip(direct, lost, seed=seed),
    }


def _corrected(table: pd.DataFrame) -> pd.DataFrame:
    for prefix in ("", "against_"):
        tested = table[f"{prefix}p_value"].notna().to_numpy()
        raw = table.loc[tested, f"{prefix}p_value"].to_numpy(dtype=np.float64)
        corrected = np.full(len(table), np.nan)
        corrected[tested] = holm(raw)
        table[f"{prefix}p_holm"] = corrected
    numbers = [name for name in _COLUMNS if name.startswith("against")]
    table = table.astype(dict.fromkeys(numbers, np.float64))
    table.loc[table["items"] < _FEWEST, list(_ENDS)] = np.nan
    return table


def in_words(table: pd.DataFrame, measure: str, register: Register) -> str:
    """One paragraph that says what :func:`drops` found, also where that is nothing.

    Parameters
    ----------
    table : of :func:`drops`.
    measure : a key of :data:`bridgex_core.findings.MEASURES`.
    """
    if table.empty:
        return "Nothing has been measured on perturbed items yet."
    found = table.groupby("perturbation", sort=False).agg({"drop": "mean", "items": "first"})
    told = ", ".join(
        f"{kind} {_points(row['drop'])} ({row['items']:.0f} item{'' if row['items'] == 1 else 's'})"
        for kind, row in found.iterrows()
    )
    return " ".join(
        filter(
            None,
            (
                f"Drop in {MEASURES[measure]}, in points, on the items that each perturbation "
                f"changes, mean of the routes: {told}.",
                _significant(table, register),
                _protected(table, register),
                _little(table, measure),
            ),
        )
    )


def _significant(table: pd.DataFrame, register: Register) -> str:
    found = table[table["p_holm"] <= ALPHA]
    tests = "1 test" if len(table) == 1 else f"{len(table)} tests"
    if found.empty:
        return f"After Holm's correction over {tests} no drop can be told from chance at {ALPHA}."
    row = found.loc[found["drop"].abs().idxmax()]
    return (
        f"After Holm's correction over {tests} {len(found)} can be told from chance at {ALPHA}; "
        f"the largest is {_points(row['drop'])} with {row['perturbation']}, "
        f"{_route(row['bridge'], register)}."
    )


def _protected(table: pd.DataFrame, register: Register) -> str:
    tested = table[table["against_p_holm"].notna()]
    if tested.empty:
        return ""
    found = tested[tested["against_p_holm"] <= ALPHA]
    if found.empty:
        return "No bridge can be told to lose more or less than the direct route."
    told = [
        f"{_route(row['bridge'], register)} loses {abs(100 * row['against_direct']):.1f} points "
        f"{'less' if row['against_direct'] < 0 else 'more'} with {row['perturbation']}"
        for _, row in found.iterrows()
    ]
    return f"Against the direct route, {'; '.join(told)}."


def _little(table: pd.DataFrame, measure: str) -> str:
    clean = float(table["clean"].mean())
    if measure != "accuracy" or clean >= LITTLE:
        return ""
    return (
        f"Even unperturbed only {100 * clean:.1f} % are right, so there is little to lose: where "
        "there are ranks, they tell more."
    )


def _route(bridge: str, register: Register) -> str:
    if not bridge:
        return "direct"
    return f"via {register[bridge].name if bridge in register else bridge}"


def _points(share: float) -> str:
    """A drop as a sentence shows it; below 0 it is a gain.

    >>> _points(0.0123), _points(-0.5), _points(-0.0001)
    ('1.2', '−50.0', '0')
    """
    size = f"{abs(100 * share):.1f}"
    return "0" if not float(size) else f"{'−' if share < 0 else ''}{size}"
