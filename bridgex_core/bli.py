"""Bilingual lexicon induction: words to translate, demonstrations, candidates, and the score."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from .decoding import Backend, Decoding
from .errors import InputError
from .evaluation import RANKINGS, RouteResult, accepted_candidates, ranks_of_gold
from .languages import Register
from .languages import register as bundled_register
from .lexicons import CLDR, Lexicon, WordPair, open_lexicon, split
from .perturbations import identity as perturbed_identity
from .perturbations import perturb, require_perturbation
from .progress import Advances
from .prompts import PAPER_TEMPLATE, ChainTemplate, wordless_prompt
from .scoring import is_right
from .xicl import Chain, Demonstrations, Examples, Route, run

SPLIT_SEED = 0
"""Which words are kept for evaluations: one split for all, so that no probe ever holds them."""
MOST_WORDS = 10_000
CHOICES = 50
"""Candidates that a gold word is ranked among: all of them are read for every prompt."""


@dataclass(frozen=True)
class Bli:
    """Words of a pair of languages to translate.

    Attributes
    ----------
    source, target : FLORES codes.
    items : how many words at most.
    shots : demonstrations above each.
    seed : of the choice of demonstrations, and of the perturbation.
    lexicon : what :func:`bridgex_core.lexicons.open_lexicon` takes.
    template : how a chain is written down.
    apart : True takes the words that no probe and no demonstration ever holds: an evaluation. False
        takes words of the rest: what the model can do may then decide what is evaluated.
    perturbation : what is done to the words before they are asked, one of
        :data:`bridgex_core.perturbations.PERTURBATIONS`; empty for nothing.
    """

    source: str
    target: str
    items: int = 100
    shots: int = 4
    seed: int = 0
    lexicon: str = CLDR
    template: ChainTemplate = PAPER_TEMPLATE
    apart: bool = True
    perturbation: str = ""
    register: Register = field(default_factory=bundled_register, repr=False, compare=False)

    name = "bli"
    measure = "accuracy"

    def __post_init__(self) -> None:
        if self.perturbation:
            require_perturbation(self.perturbation)

    @cached_property
    def _parts(self) -> tuple[Lexicon, tuple[WordPair, ...]]:
        """The words to demonstrate with, and those to ask."""
        known, aside = split(self._lexicon(self.target), held_out=MOST_WORDS, seed=SPLIT_SEED)
        singles = (aside if self.apart else known).single_words().pairs
        if not self.apart:
            singles = tuple(sorted(singles, key=_place))
        asked = singles[: self.items]
        if not asked:
            raise InputError(
                f"The lexicon leaves no single word of {self.source} and {self.target} to ask for: "
                "give a larger one."
            )
        words = {pair.word for pair in asked}
        rest = tuple(pair for pair in known.pairs if pair.word not in words)
        return replace(known, pairs=rest), asked

    def _lexicon(self, language: str) -> Lexicon:
        return open_lexicon(self.lexicon, self.source, language, register=self.register)

    @property
    def words(self) -> tuple[WordPair, ...]:
        """What is asked, unperturbed."""
        return self._parts[1]

    @cached_property
    def asked(self) -> tuple[str, ...]:
        """The words as the model reads them."""
        if not self.perturbation:
            return tuple(pair.word for pair in self.words)
        others = self._distractors() if self.perturbation == "distractors" else []
        return tuple(
            perturb(
                pair.word,
                self.perturbation,
                self.source,
                seed=self.seed,
                distractors=[word for word, answer in others if answer not in pair.answers],
            )
            for pair in self.words
        )

    @property
    def changed(self) -> np.ndarray:
        """Which words the perturbation changes, bool (N,)."""
        pairs = zip(self.asked, self.words, strict=True)
        return np.array([text != pair.word for text, pair in pairs])

    def _distractors(self) -> list[tuple[str, str]]:
        """Words with their answers that are not asked, and that would be demonstrated last."""
        known = self.demonstrations(
            Route.of(*(self.register[code] for code in (self.source, self.target)))
        )
        count = len(known.rows)
        rows = known.chosen(count, self.seed)[max(self.shots, count // 2) :]
        return [(row[0], row[-1]) for row in rows]

    def candidates_of(self, item: int) -> tuple[str, ...]:
        """The words that an item's gold word is ranked among: the first answers of 50 items.

        Items 1 to 50 are ranked among their own answers, 51 to 100 among theirs, and so on; the
        last ones among those of the last 50.
        """
        start = item // CHOICES * CHOICES
        if start + CHOICES > len(self.words):
            start = max(0, len(self.words) - CHOICES)
        asked = self.words[start : start + CHOICES]
        return tuple(dict.fromkeys(pair.answers[0] for pair in asked))

    def demonstrations(self, route: Route) -> Demonstrations:
        """The words that a route can be demonstrated with."""
        between = [self._lexicon(bridge.code) for bridge in route.bridges]
        return Demonstrations.of(route, [*between, self._parts[0]])

    def examples(self, route: Route) -> Examples:
        """The demonstrations of a route."""
        return self.demonstrations(route).chosen(self.shots, self.seed)

    def identity(self) -> dict[str, Any]:
        """Everything that its results depend on, model and route aside."""
        rows = [[p.word, p.answers, p.keyword_answers] for p in self.words]
        digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
        return {
            "task": self.name,
            "source": self.source,
            "target": self.target,
            "words": digest,
            "apart": self.apart,
            "choices": CHOICES,
            "shots": self.shots,
            "seed": self.seed,
            "template": asdict(self.template),
            **perturbed_identity(self.perturbation, self.asked),
        }

    def labels(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """The words, unperturbed, and what is accepted for each."""
        gold = tuple((*pair.answers, *pair.keyword_answers) for pair in self.words)
        return tuple(pair.word for pair in self.words), gold

    def steps(self, route: Route) -> int:
        """Units of progress of a route: a prompt written, or ranked against."""
        return len(self.words) * len(route.languages)

    def evaluate(
        self, backend: Backend, route: Route, *, progress: Advances | None = None
    ) -> RouteResult:
        """Every word along a route, judged."""
        gold = self.labels()[1]
        examples = self.examples(route)
        decoding = Decoding(stop=self.template.stops)
        chains = run(
            backend,
            route,
            self.asked,
            examples=[examples] * len(self.asked),
            template=self.template,
            decoding=decoding,
            progress=progress,
        )
        right = [is_right(chain.answer, each) for chain, each in zip(chains, gold, strict=True)]
        answers = tuple(chain.words[1:] for chain in chains)
        ranks = {}
        if not backend.no_scores:
            ranks = self._ranks(backend, chains, examples, progress)
        elif progress is not None:
            progress.advance(float(len(chains)))  # what ranking would have taken
        return RouteResult(route.codes, np.array(right, dtype=np.float64), answers, ranks)

    def _ranks(
        self,
        backend: Backend,
        chains: Sequence[Chain],
        examples: Examples,
        progress: Advances | None,
    ) -> dict[str, np.ndarray]:
        gold, found = self.labels()[1], []
        for start in range(0, len(chains), CHOICES):
            asked = range(start, min(start + CHOICES, len(chains)))
            choices = self.candidates_of(asked[-1])
            scores = scores_by_ranking(
                backend,
                [chains[item] for item in asked],
                choices,
                examples,
                self.template,
                progress=progress,
            )
            accepted = accepted_candidates(choices, [gold[item] for item in asked])
            found.append({name: ranks_of_gold(each, accepted) for name, each in scores.items()})
        return {name: np.concatenate([each[name] for each in found]) for name in RANKINGS}


def scores_by_ranking(
    backend: Backend,
    chains: Sequence[Chain],
    candidates: Sequence[str],
    examples: Examples,
    template: ChainTemplate,
    *,
    progress: Advances | None = None,
) -> dict[str, np.ndarray]:
    """What each of :data:`RANKINGS` gives C candidates as last words of N chains, float64 (N, C).

    The chains are of one route, with the same examples above them. ``progress`` is advanced by the
    chains done.
    """
    prompts = [chain.steps[-1].prompt for chain in chains]
    prior = wordless_prompt(chains[0].route.languages, examples, template)
    scored = backend.score_candidates(prompts, candidates, progress=progress)
    bare = backend.score_candidates([prior], candidates).log_probability[0]
    by_ranking = (
        scored.log_probability,
        scored.log_probability / scored.tokens,
        scored.log_probability - bare,
    )
    return dict(zip(RANKINGS, by_ranking, strict=True))


def _place(pair: WordPair) -> bytes:
    """Where a word stands in an order that is no one's choice."""
    return hashlib.sha256(pair.word.encode()).digest()
