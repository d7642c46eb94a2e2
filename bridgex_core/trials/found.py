"""What comes of a trial: chains, and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..bli import scores_by_ranking
from ..candidates import LocalBackend
from ..decoding import Backend, Generated
from ..evaluation import RANKINGS, accepted_candidates, ranks_of_gold
from ..model_sources import ModelSource
from ..models import load_quietly
from ..text_language import NO_LETTERS, TextLanguage, language_of
from ..xicl import Chain, Examples
from .asked import AnyTrial, ItemTrial, Trial

TOP = 3
"""How many of the candidates that come first are told."""
ALTERNATIVES = 5


def open_backend(source: ModelSource, dtype: str = "auto") -> LocalBackend:
    """A model of this machine, loaded, with nothing printed.

    ``dtype`` is that of :func:`bridgex_core.models.load`, which also says what can go wrong.
    """
    return LocalBackend(load_quietly(source, dtype))


@dataclass(frozen=True)
class Standing:
    """Where the gold word stands among C candidate words.

    Attributes
    ----------
    candidates : C.
    ranks : by :data:`bridgex_core.evaluation.RANKINGS`, from 1.
    first : by ranking, the candidates that come first, at most :data:`TOP`.
    """

    candidates: int
    ranks: Mapping[str, int]
    first: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Finding:
    """A chain and what is known of it.

    Attributes
    ----------
    chain : as far as it was written.
    finished : whether it was written to its end.
    languages : what each step's answer is really written in.
    right : whether each step's answer is accepted; None where nothing tells.
    alternatives : other answers of the last step, most probable first; empty where the backend
        gives none.
    standing : of the gold word; None where there is none or the backend gives no scores.
    score : chrF against the gold text, 0 to 1; None where it is not measured by that.
    """

    chain: Chain
    finished: bool
    languages: tuple[TextLanguage, ...]
    right: tuple[bool | None, ...]
    alternatives: tuple[Generated, ...] = ()
    standing: Standing | None = None
    score: float | None = None

    @property
    def broken_at(self) -> int | None:
        """The first step that went wrong: a wrong answer, or one in another language."""
        written_out = len(self.chain.steps) - (not self.finished)
        for number, step in enumerate(self.chain.steps[:written_out]):
            right, written = self.right[number], self.languages[number].code
            astray = right is None and written is not None and written != step.language.code
            if right is False or astray or not step.answer:
                return number
        return None


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes
    ----------
    trial : what was tried.
    backend : the title of what wrote.
    findings : one a route that was begun.
    note : why it ended before all was done, as a sentence; empty otherwise.
    no_scores : why the backend gives no ranks, as a sentence; empty if it does.
    """

    trial: AnyTrial
    backend: str
    findings: tuple[Finding, ...]
    note: str = ""
    no_scores: str = ""


def judge(trial: AnyTrial, chain: Chain, *, finished: bool = True) -> Finding:
    """What a chain's texts tell by themselves; one that is not finished ends within a step."""
    languages = tuple(_written_in(trial, step.answer) for step in chain.steps)
    score = trial.score(chain) if finished and isinstance(trial, ItemTrial) else None
    right = trial.right(chain)
    if not finished:
        right = (*right[:-1], None)
    return Finding(chain, finished, languages, right, score=score)


def _written_in(trial: AnyTrial, answer: str) -> TextLanguage:
    if isinstance(trial, ItemTrial) and trial.task.kind.letters and len(answer) < 2:
        return TextLanguage(None, 0.0, None, NO_LETTERS, "A single letter tells no language.")
    return language_of(answer, trial.languages, register=trial.register)


def stand(trial: AnyTrial, chain: Chain, examples: Examples, backend: Backend) -> Standing | None:
    """Where the gold word stands behind a finished chain; None where that cannot be told."""
    gold = trial.accepted(trial.target)
    if not gold or backend.no_scores or not isinstance(trial, Trial):
        return None
    scores = scores_by_ranking(backend, [chain], trial.candidates, examples, trial.template)
    right = accepted_candidates(trial.candidates, [gold])
    return Standing(
        len(trial.candidates),
        {name: int(ranks_of_gold(scores[name], right)[0]) for name in RANKINGS},
        {name: _first(trial.candidates, scores[name][0]) for name in RANKINGS},
    )


def _first(candidates: Sequence[str], scores: np.ndarray) -> tuple[str, ...]:
    return tuple(candidates[index] for index in np.argsort(-scores, kind="stable")[:TOP])
