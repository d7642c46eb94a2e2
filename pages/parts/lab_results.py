"""Stored evaluations, kept between reruns under the keys of the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from bridgex_core.evaluation import RANKINGS, Evaluation
from bridgex_core.findings import Progressed, progressed
from bridgex_core.study import EVALUATIONS, Evaluations, Study, Task, study_table
from bridgex_core.xicl import Route
from pages.parts import results
from pages.parts.results import Scene

Keys = tuple[str, ...]
STUDY = Study()
"""The study that ships."""


@dataclass(frozen=True)
class Measured:
    """What is stored of a task along several routes.

    Attributes
    ----------
    keys : of the stored runs; what caches go by.
    evaluation : of the routes that are wholly there; None if none is.
    missing : the routes that are not.
    """

    keys: Keys
    evaluation: Evaluation | None
    missing: tuple[Route, ...]


def measures(evaluation: Evaluation) -> dict[str, tuple[str, str | None]]:
    """What an evaluation measures: a name for people → a table's column, and the ranking."""
    own = {"accuracy": "Accuracy", "chrF": "chrF"}[evaluation.measure]
    found: dict[str, tuple[str, str | None]] = {own: (evaluation.measure, None)}
    if all(run.ranks for runs in evaluation.runs for run in runs):
        found |= {_RANK_TITLES[name]: ("mrr", name) for name in RANKINGS}
    return found


def choose_measure(evaluation: Evaluation, key: str) -> tuple[str, str | None]:
    """The reader's choice among these: a table's column, and the ranking.

    Where hardly anything is right, ranks tell more and are chosen to begin with.
    """
    offered = measures(evaluation)
    ranked = len(offered) > 1 and evaluation.is_hardly_right
    chosen = st.segmented_control(
        "Measured by",
        list(offered),
        default=list(offered)[ranked],
        required=True,
        help=MEASURE_HELP,
        key=key,
    )
    return offered[chosen or list(offered)[ranked]]


_RANK_TITLES = {
    "summed": "Rank",
    "per token": "Rank by token",
    "calibrated": "Rank, calibrated",
}
MEASURE_HELP = (
    "**Accuracy**: the share of words translated right.  \n"
    "**Rank**: the mean reciprocal rank of the right word among 50 candidate words, by their "
    "probability; finer than accuracy where a model is often wrong.  \n"
    "**Rank by token**: by the probability a token, so that long words are not held back.  \n"
    "**Rank, calibrated**: by how much the word to translate adds to the probability, so that "
    "frequent words do not come first by themselves."
)


def evaluations(scene: Scene) -> Evaluations:
    """Where results of the sidebar's model are kept."""
    return Evaluations.of_model(scene.store, scene.collection.source, scene.collection.dtype)


def measured(kept: Evaluations, tasks: Sequence[Task], routes: Sequence[Route]) -> Measured:
    """What is stored of tasks that differ in their seed alone."""
    missing = tuple(route for route in routes if kept.missing(tasks, [route]))
    there = tuple(route for route in routes if route not in missing)
    if not there:
        return Measured((), None, missing)
    keys = tuple(kept.found(task, route) or "" for route in there for task in tasks)
    return Measured(keys, _evaluation(keys, kept, tuple(tasks), there), missing)


@st.cache_resource(show_spinner=False, max_entries=32)
def _evaluation(
    keys: Keys, _kept: Evaluations, _tasks: tuple[Task, ...], _routes: tuple[Route, ...]
) -> Evaluation | None:
    return _kept.evaluation(_tasks, _routes)


def table(
    keys: Keys, evaluation: Evaluation, ranking: str | None, pair: tuple[str, str]
) -> pd.DataFrame:
    """The routes with their intervals and tests; see :func:`bridgex_core.study.study_table`."""
    return _table(keys, ranking or RANKINGS[0], pair, evaluation)


@st.cache_data(show_spinner="Drawing the intervals …", max_entries=64)
def _table(
    keys: Keys, ranking: str, pair: tuple[str, str], _evaluation: Evaluation
) -> pd.DataFrame:
    return study_table({pair: _evaluation}, ranking)


# ---- The study -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Studied:
    """What is stored of the study; ``stamp`` is what caches go by."""

    stamp: Keys
    found: Progressed


def studied(scene: Scene) -> Studied:
    """The study that ships, as far as it is stored for the sidebar's model."""
    source = scene.collection.source
    stamp = tuple(
        key
        for key, manifest in results.manifests(EVALUATIONS)
        if manifest.get("model") == source.fingerprint
    )
    stamp = (*stamp, scene.collection.dtype)  # which of two formats is taken
    return Studied(stamp, _studied(stamp, source.fingerprint, scene))


@st.cache_resource(show_spinner="Reading the study …", max_entries=4)
def _studied(stamp: Keys, model: str, _scene: Scene) -> Progressed:
    return progressed(STUDY, evaluations(_scene), _scene.register)


def study(whole: Studied, ranking: str | None) -> pd.DataFrame:
    """Every pair and route with its tests, corrected over all of them."""
    return _study(whole.stamp, ranking or RANKINGS[0], whole.found)


@st.cache_data(show_spinner="Testing every route against the direct one …", max_entries=12)
def _study(stamp: Keys, ranking: str, _found: Progressed) -> pd.DataFrame:
    return study_table(_found.results, ranking)
