"""Probes of pairs of languages: recorded, answered, kept in the store; and which pairs are known.

A pair of words is known if the model translates it right; only then are the neurons that hold it
fully active (BridgeX-ICL, section 3.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .bli import SPLIT_SEED
from .candidates import LocalBackend
from .decoding import Decoding
from .errors import InputError
from .evaluation import accepted_candidates, ranks_of_gold
from .languages import Language, Register
from .languages import register as bundled_register
from .lexicons import CLDR, WordPair, open_lexicon, split
from .models import Model
from .probe import ProbeActivations, record
from .progress import Progress, Snapshot
from .prompts import PAPER_TEMPLATE, probe_prompt, translation_prompt
from .scoring import is_right
from .store import Store, entry_key, software_versions

PROBES = "probes"
KNOWN_RULES = ("greedy", "ranked")
FEWEST_KNOWN = 50
"""Known pairs that a probe has to have; with fewer, all its pairs are used, and it says so."""
FIRST_SHARE = 0.05
"""Of the candidates: a gold word among so many of the first is known under the rule ``ranked``."""


@dataclass(frozen=True)
class ProbeTask:
    """The words to probe a pair of languages with.

    Attributes
    ----------
    source, target : FLORES codes.
    words : how many at most; single words first.
    lexicon : what :func:`bridgex_core.lexicons.open_lexicon` takes; what evaluations use of it is
        left out.
    known : ``greedy``: the model writes an accepted translation; ``ranked``: the gold word is
        among the first 5 % of all the probe's first answers by log-probability.
    generated : average the tokens that the model writes after the prompt in with the prompt's, as
        the released code does.

    Raises
    ------
    InputError
        Fewer than two words, or an unknown rule.
    """

    source: str
    target: str
    words: int = 300
    lexicon: str = CLDR
    known: str = "greedy"
    generated: bool = False
    register: Register = field(default_factory=bundled_register, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.words < 2:
            raise InputError(
                f"HSIC compares neurons over at least two words, but {self.words} were asked for."
            )
        if self.known not in KNOWN_RULES:
            raise InputError(
                f"There is no rule '{self.known}' for known pairs: use {' or '.join(KNOWN_RULES)}."
            )

    @cached_property
    def pairs(self) -> tuple[WordPair, ...]:
        """The P pairs."""
        lexicon = open_lexicon(self.lexicon, self.source, self.target, register=self.register)
        probe, _ = split(lexicon, held_out=0, seed=SPLIT_SEED)
        single = {pair.word for pair in probe.single_words().pairs}
        ordered = sorted(probe.pairs, key=lambda pair: pair.word not in single)
        chosen = tuple(ordered[: self.words])
        if len(chosen) < 2:
            what = "one word" if chosen else "no word"
            raise InputError(
                f"The lexicon has {what} from {self.source} to {self.target} for a probe, and HSIC "
                "compares neurons over at least two: give a larger one."
            )
        return chosen

    @property
    def steps(self) -> int:
        """Units of progress of a word: recorded, answered, and perhaps continued before."""
        return 3 if self.generated else 2

    @property
    def languages(self) -> tuple[Language, Language]:
        """Source and target."""
        return self.register[self.source], self.register[self.target]

    def identity(self) -> dict[str, Any]:
        """Everything that a probe depends on, the model aside."""
        rows = [[p.word, list(p.answers), list(p.keyword_answers)] for p in self.pairs]
        whole = {"source": self.source, "target": self.target, "words": rows, "known": self.known}
        return whole | ({"generated": True} if self.generated else {})


@dataclass(frozen=True)
class Probe:
    """The recorded activations of a pair of languages.

    Attributes
    ----------
    task : what was asked.
    activations : of the P prompts.
    answers : what the model wrote for each; under the rule ``ranked`` the gold word's rank.
    known : bool (P,).
    """

    task: ProbeTask
    activations: ProbeActivations
    answers: tuple[str, ...]
    known: np.ndarray

    @property
    def enough(self) -> bool:
        """Whether there are known pairs enough to use them alone."""
        return int(self.known.sum()) >= FEWEST_KNOWN

    @property
    def used(self) -> ProbeActivations:
        """The activations of the known pairs; of all where these are fewer than 50."""
        if not self.enough:
            return self.activations
        a = self.activations
        return ProbeActivations(a.values[:, :, self.known], a.lengths[self.known])

    def sentence(self) -> str:
        """On which words a result stands, for people."""
        known, words = int(self.known.sum()), len(self.known)
        greedy = self.task.known == "greedy"
        if self.enough:
            knows = (
                "that the model translates right"
                if greedy
                else f"whose translation the model ranks among the first {FIRST_SHARE:.0%}"
            )
            return f"Measured on the {known} of {words} words {knows}."
        how = "right" if greedy else f"within the first {FIRST_SHARE:.0%} of its candidates"
        return (
            f"The model translates {known} of {words} words {how}, fewer than the {FEWEST_KNOWN} "
            "that a judgement needs: all words are used, and the ranking may say little."
        )


def probe_key(task: ProbeTask, identity: Mapping[str, Any]) -> str:
    """Where the store keeps a probe of a model of this identity."""
    return entry_key(PROBES, **identity, **task.identity())


def stored_probe(store: Store, task: ProbeTask, identity: Mapping[str, Any]) -> Probe | None:
    """A probe that the store has; None if it has not."""
    entry = store.load(PROBES, probe_key(task, identity))
    if entry is None:
        return None
    return Probe(
        task,
        ProbeActivations.from_tensors(entry.tensors),
        tuple(entry.manifest["answers"]),
        entry.tensors["known"].astype(bool),
    )


def run_probe(
    store: Store,
    task: ProbeTask,
    identity: Mapping[str, Any],
    load: Callable[[], Model],
    *,
    report: Callable[[Snapshot], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Probe:
    """The probe of a pair: from the store, or recorded and answered into it.

    Parameters
    ----------
    identity : of :func:`bridgex_core.study.model_identity`.
    load : gives the model; called only where the store has no probe.

    Raises
    ------
    Cancelled
        ``cancelled`` answered True; activations that were all recorded are kept.
    """
    key = probe_key(task, identity)
    progress = Progress(task.steps * len(task.pairs), report, cancelled)
    what = f"probe of {task.source} and {task.target}"

    def waiting() -> None:
        progress.advance(0.0, f"{what}: waiting for another process that records it")

    with store.alone(f"{PROBES}-{key}", waiting):
        found = stored_probe(store, task, identity)
        if found is None:
            found = _record(store, key, task, identity, load(), progress)
    return found


def _record(
    store: Store,
    key: str,
    task: ProbeTask,
    identity: Mapping[str, Any],
    model: Model,
    progress: Progress,
) -> Probe:
    tensors = _activations(store, key, task, model, progress)
    judge = _greedy if task.known == "greedy" else _ranked
    answers, known = judge(task, model, progress)
    manifest = {
        **identity,
        **task.identity(),
        "answers": list(answers),
        "model_name": model.source.name,
        "versions": software_versions(),
    }
    store.save(PROBES, key, {**tensors, "known": known.astype(np.uint8)}, manifest)
    store.drop_parts(PROBES, key)
    return Probe(task, ProbeActivations.from_tensors(tensors), answers, known)


def _activations(
    store: Store, key: str, task: ProbeTask, model: Model, progress: Progress
) -> Mapping[str, np.ndarray]:
    done = store.load_parts(PROBES, key).get("activations")
    if done is not None:
        progress.skip((task.steps - 1) * len(task.pairs))
        return done.tensors
    prompts = [probe_prompt(*task.languages, pair.word) for pair in task.pairs]
    if task.generated:
        written = LocalBackend(model).generate(prompts, Decoding(stop=("\n",)), progress=progress)
        prompts = [prompt + each.text for prompt, each in zip(prompts, written, strict=True)]
    tensors = record(model, prompts, progress=progress).tensors()
    store.save_part(PROBES, key, "activations", tensors, {})
    return tensors


def _prompts(task: ProbeTask) -> list[str]:
    return [translation_prompt(task.languages, [pair.word]) for pair in task.pairs]


def _greedy(
    task: ProbeTask, model: Model, progress: Progress
) -> tuple[tuple[str, ...], np.ndarray]:
    decoding = Decoding(stop=PAPER_TEMPLATE.stops)
    written = LocalBackend(model).generate(_prompts(task), decoding, progress=progress)
    answers = tuple(each.text.strip() for each in written)
    known = [
        is_right(answer, (*pair.answers, *pair.keyword_answers))
        for answer, pair in zip(answers, task.pairs, strict=True)
    ]
    return answers, np.array(known)


def _ranked(
    task: ProbeTask, model: Model, progress: Progress
) -> tuple[tuple[str, ...], np.ndarray]:
    candidates = tuple(dict.fromkeys(pair.answers[0] for pair in task.pairs))
    scores = LocalBackend(model).score_candidates(_prompts(task), candidates, progress=progress)
    golds = [(*pair.answers, *pair.keyword_answers) for pair in task.pairs]
    ranks = ranks_of_gold(scores.log_probability, accepted_candidates(candidates, golds))
    return tuple(map(str, ranks)), ranks <= FIRST_SHARE * len(candidates)
