"""What an intervention does to what a model writes, beside a random set of the same size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from .bli import Bli
from .candidates import LocalBackend
from .decoding import Decoding, Generated
from .evaluation import RouteResult
from .interventions import Intervention, Run, held, keep_runs, random_control, stored_runs
from .languages import Language, Register
from .model_sources import ModelSource
from .progress import Advances, Progress, Snapshot
from .statistical_tests import paired_bootstrap
from .store import Store, software_versions
from .study import model_identity
from .text_language import TextLanguage, language_of
from .xicl import Route

EFFECTS = "effects"
_RANKING = "calibrated"
RUNS = ("plain", "changed", "control")
"""The model as it is, with the set changed, and with a random set changed likewise."""


@dataclass(frozen=True)
class Answers:
    """The answer of a prompt in the three runs, by :data:`RUNS`.

    Attributes
    ----------
    outputs : what was written.
    languages : which of the languages in question each is written in.
    neurons : how many were changed.
    """

    outputs: dict[str, Generated]
    languages: dict[str, TextLanguage]
    neurons: int


def answers(
    backend: LocalBackend,
    prompt: str,
    intervention: Intervention,
    *,
    languages: Sequence[str],
    register: Register | None = None,
    decoding: Decoding | None = None,
    alive: np.ndarray | None = None,
    seed: int = 0,
) -> Answers:
    """What a prompt is answered without an intervention, with it, and with a random control.

    Parameters
    ----------
    backend : a local model.
    prompt, decoding : what to go on from and how; greedily, up to 16 tokens, by default.
    languages : FLORES codes that an answer may be in.
    alive, seed : of the random set, see :func:`bridgex_core.interventions.random_control`.
    """
    decoding = decoding or Decoding()
    outputs = {}
    for run, change in _changes(intervention, alive, seed).items():
        with held(backend.model, change):
            outputs[run] = backend.generate([prompt], decoding)[0]
    told = {
        run: language_of(output.text, languages, register=register)
        for run, output in outputs.items()
    }
    return Answers(outputs, told, intervention.size)


# ---- Words ---------------------------------------------------------------------------------------


def word_effects(
    backend: LocalBackend,
    task: Bli,
    route: Route,
    intervention: Intervention,
    *,
    alive: np.ndarray | None = None,
    seed: int = 0,
    progress: Advances | None = None,
) -> pd.DataFrame:
    """Word translation, and the language of its answers, in the three runs.

    One row a run, named by :data:`RUNS`: ``words``, ``accuracy``, ``mrr`` (mean reciprocal rank of
    the gold words, calibrated: with few candidates their own probability would else decide the
    order, whatever is asked), and for each language of the route and ``other`` the share of the
    answers that are written in it. ``other`` holds what cannot be told as well. Against the plain
    run, NaN in its own row: ``accuracy_difference``, ``accuracy_low``, ``accuracy_high`` and
    likewise of ``mrr``, with 95 % intervals (paired bootstrap over the words).
    """
    found = []
    for change in _changes(intervention, alive, seed).values():
        with held(backend.model, change):
            found.append(task.evaluate(backend, route, progress=progress))
    return _compared(found, route, task.register)


def _compared(found: Sequence[RouteResult], route: Route, register: Register) -> pd.DataFrame:
    """The table of the results of the three runs."""
    plain = found[0]
    rows = {}
    for run, result in zip(RUNS, found, strict=True):
        written = [answer[-1] for answer in result.answers]
        rows[run] = {
            "words": len(written),
            "accuracy": float(result.scores.mean()),
            "mrr": float(_reciprocal(result).mean()),
            **_shares(written, route.languages, register),
            **_against("accuracy", plain.scores, result.scores, result is plain),
            **_against("mrr", _reciprocal(plain), _reciprocal(result), result is plain),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("run")


def _reciprocal(result: RouteResult) -> np.ndarray:
    reciprocal: np.ndarray = 1 / result.ranks[_RANKING]
    return reciprocal


def _against(
    name: str, before: np.ndarray, after: np.ndarray, is_same_run: bool
) -> dict[str, float]:
    columns = (f"{name}_difference", f"{name}_low", f"{name}_high")
    if is_same_run:
        return dict.fromkeys(columns, np.nan)
    change = paired_bootstrap(before, after)
    return dict(zip(columns, (change.difference, change.low, change.high), strict=True))


def _shares(
    texts: Sequence[str], languages: Sequence[Language], register: Register
) -> dict[str, float]:
    codes = list(dict.fromkeys(language.code for language in languages))
    counts = Counter(language_of(text, codes, register=register).code or "other" for text in texts)
    return {code: counts[code] / len(texts) for code in (*codes, "other")}


def _changes(
    intervention: Intervention, alive: np.ndarray | None, seed: int
) -> dict[str, Intervention | None]:
    control = random_control(intervention.neurons, alive=alive, seed=seed)
    return dict(
        zip(RUNS, (None, intervention, replace(intervention, neurons=control)), strict=True)
    )


# ---- Kept ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WordEffects:
    """The three runs of word translation, each kept on its own; see :func:`word_effects`.

    Attributes
    ----------
    source, dtype : the model and its number format.
    task, route, intervention, alive, seed : as there.
    """

    source: ModelSource
    dtype: str
    task: Bli
    route: Route
    intervention: Intervention
    alive: np.ndarray | None = None
    seed: int = 0

    def runs(self) -> list[Run]:
        """In the order of :data:`RUNS`; the plain one is the same for all interventions."""
        about = {
            **model_identity(self.source, self.dtype),
            **self.task.identity(),
            "route": list(self.route.codes),
        }
        changes = _changes(self.intervention, self.alive, self.seed)
        return [
            Run(EFFECTS, f"{self.route.label}, {_IN_WORDS[run]}", change, about)
            for run, change in changes.items()
        ]


_IN_WORDS = {
    "plain": "the model unchanged",
    "changed": "the set changed",
    "control": "a random set changed",
}


def collect_word_effects(
    store: Store,
    asked: WordEffects,
    load: Callable[[], LocalBackend],
    *,
    report: Callable[[Snapshot], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> None:
    """Do the runs that the store lacks; each is kept as soon as it is done.

    Parameters
    ----------
    load : gives the model; called only if something is missing.

    Raises
    ------
    InputError
        The lexicon leaves no word to ask for, a full disk.
    Cancelled
        ``cancelled`` answered True; finished runs are kept.
    """
    todo = [run for run in asked.runs() if not store.has(EFFECTS, run.key)]
    if not todo:
        return
    backend = load()
    size = float(asked.task.steps(asked.route))
    progress = Progress(size * len(todo), report, cancelled)

    def work(run: Run) -> tuple[Mapping[str, np.ndarray], dict[str, Any]]:
        with held(backend.model, run.intervention):
            result = asked.task.evaluate(backend, asked.route, progress=progress)
        return result.tensors(), {
            **result.texts(),
            "model_name": asked.source.name,
            "device": str(backend.model.device),
            "versions": software_versions(),
        }

    keep_runs(store, todo, work, progress, size)


def stored_word_effects(store: Store, asked: WordEffects) -> pd.DataFrame | None:
    """The table of :func:`word_effects`; None unless all three runs are stored."""
    entries = stored_runs(store, asked.runs())
    if entries is None:
        return None
    found = [RouteResult.from_entry(entry.tensors, entry.manifest) for entry in entries]
    return _compared(found, asked.route, asked.task.register)
