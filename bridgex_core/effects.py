"""What an intervention does to what a model writes, beside a random set of the same size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from .bli import Bli
from .candidates import LocalBackend
from .decoding import Decoding, Generated
from .evaluation import RANKINGS
from .interventions import Intervention, intervene, random_control
from .languages import Language, Register
from .progress import Advances
from .text_language import TextLanguage, language_of
from .xicl import Route

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
        with _held(backend, change):
            outputs[run] = backend.generate([prompt], decoding)[0]
    told = {
        run: language_of(output.text, languages, register=register)
        for run, output in outputs.items()
    }
    return Answers(outputs, told, intervention.size)


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
    the gold words, by summed log-probability), and for each language of the
    route and ``other`` the share of the answers that are written in it. ``other`` holds what cannot
    be told as well.
    """
    rows = {}
    for run, change in _changes(intervention, alive, seed).items():
        with _held(backend, change):
            found = task.evaluate(backend, route, progress=progress)
        written = [answer[-1] for answer in found.answers]
        rows[run] = {
            "words": len(written),
            "accuracy": float(found.scores.mean()),
            "mrr": float((1 / found.ranks[RANKINGS[0]]).mean()),
            **_shares(written, route.languages, task.register),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("run")


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


def _held(backend: LocalBackend, change: Intervention | None) -> AbstractContextManager[None]:
    return nullcontext() if change is None else intervene(backend.model, change)
