"""Cross-lingual in-context learning: direct chains (s → t) and bridged ones (s → b → t)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .candidates import candidate_tokens
from .decoding import Backend, Decoding, Generated
from .errors import InputError
from .languages import Language
from .lexicons import Lexicon
from .progress import Advances
from .prompts import PAPER_TEMPLATE, ChainTemplate, translation_prompt
from .scoring import normalise

if TYPE_CHECKING:
    from .models import Model

Examples = Sequence[Sequence[str]]
"""Demonstrations: each has a word for every language of a route."""


@dataclass(frozen=True)
class Route:
    """The languages that a chain goes through, at least two.

    The last may be the first again: a passage read through a bridge, a question asked in its own
    language.

    Raises
    ------
    InputError
        One language alone, or a bridge that comes twice or is source or target.
    """

    languages: tuple[Language, ...]

    def __post_init__(self) -> None:
        if len(self.languages) < 2:
            raise InputError("A chain goes from one language to another: choose at least two.")
        for language in self.bridges:
            if self.languages.count(language) > 1:
                raise InputError(
                    f"{language.name} comes twice in the chain {self.label}: a bridge has to be "
                    "another language than source and target."
                )

    @classmethod
    def of(cls, source: Language, target: Language, bridge: Language | None = None) -> Route:
        """For a translation: direct, or through one bridge.

        Raises
        ------
        InputError
            A language that comes twice.
        """
        if source == target:
            raise InputError(f"Source and target are both {source.name}: choose two languages.")
        return cls((source, target) if bridge is None else (source, bridge, target))

    @property
    def source(self) -> Language:
        """The first language."""
        return self.languages[0]

    @property
    def target(self) -> Language:
        """The last language."""
        return self.languages[-1]

    @property
    def bridges(self) -> tuple[Language, ...]:
        """The languages between them; none for a direct chain."""
        return self.languages[1:-1]

    @property
    def codes(self) -> tuple[str, ...]:
        """FLORES codes."""
        return tuple(language.code for language in self.languages)

    @property
    def label(self) -> str:
        """English names, for people."""
        return " → ".join(language.name for language in self.languages)


@dataclass(frozen=True)
class Step:
    """One prompt of a chain and what came of it.

    Attributes
    ----------
    language : the language to write.
    prompt : the exact text that went in.
    output : what the backend wrote.
    """

    language: Language
    prompt: str
    output: Generated

    @property
    def answer(self) -> str:
        """The output without white space around it."""
        return self.output.text.strip()


@dataclass(frozen=True)
class Chain:
    """A word or sentence that went along a route.

    Attributes
    ----------
    route : the languages.
    text : what was to be translated.
    steps : one a prompt, in most chains one a language after the source; fewer while it is still
        being written.
    """

    route: Route
    text: str
    steps: tuple[Step, ...] = ()

    @property
    def answer(self) -> str:
        """What the last step wrote; empty before there is one."""
        return self.steps[-1].answer if self.steps else ""

    @property
    def words(self) -> tuple[str, ...]:
        """The text and every answer so far."""
        return (self.text, *(step.answer for step in self.steps))


def next_prompt(
    chain: Chain, examples: Examples = (), template: ChainTemplate = PAPER_TEMPLATE
) -> str:
    """The prompt of the step that a chain needs next."""
    reach = len(chain.steps) + 2
    return translation_prompt(
        chain.route.languages[:reach],
        chain.words,
        [example[:reach] for example in examples],
        template,
    )


def run(
    backend: Backend,
    route: Route,
    texts: Sequence[str],
    *,
    examples: Sequence[Examples] | None = None,
    template: ChainTemplate = PAPER_TEMPLATE,
    decoding: Decoding | None = None,
    progress: Advances | None = None,
) -> list[Chain]:
    """Send texts along a route; one call of the backend a step.

    Parameters
    ----------
    backend : what writes.
    route : the languages.
    texts : words or sentences of the source language.
    examples : the demonstrations of each text; none by default.
    template : how a chain is written down.
    decoding : by default greedy, ended by what the template puts after a word.
    progress : advanced by one for every text and step.

    Raises
    ------
    InputError
        An empty text, or whatever the backend cannot do.
    """
    decoding = decoding or Decoding(stop=template.stops)
    chains = [Chain(route, text) for text in texts]
    shown = examples if examples is not None else [()] * len(texts)
    for language in route.languages[1:]:
        prompts = [
            next_prompt(chain, each, template) for chain, each in zip(chains, shown, strict=True)
        ]
        outputs = backend.generate(prompts, decoding, progress=progress)
        chains = [
            replace(chain, steps=(*chain.steps, Step(language, prompt, output)))
            for chain, prompt, output in zip(chains, prompts, outputs, strict=True)
        ]
    return chains


def stream(
    backend: Backend,
    route: Route,
    text: str,
    *,
    examples: Examples = (),
    template: ChainTemplate = PAPER_TEMPLATE,
    decoding: Decoding | None = None,
) -> Iterator[Chain]:
    """One chain as it grows: the last step of each is as far as it is written."""
    decoding = decoding or Decoding(stop=template.stops)
    chain = Chain(route, text)
    for language in route.languages[1:]:
        prompt = next_prompt(chain, examples, template)
        before = chain
        for output in backend.stream(prompt, decoding):
            chain = replace(before, steps=(*before.steps, Step(language, prompt, output)))
            yield chain


@dataclass(frozen=True)
class Demonstrations:
    """Known words of the languages of a route, to choose demonstrations from.

    Attributes
    ----------
    route : the languages.
    rows : one word a language each, in the order of the lexicon.
    """

    route: Route
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, route: Route, lexicons: Sequence[Lexicon]) -> Demonstrations:
        """From one lexicon a language after the source, each from the source to it.

        Words of several words are left out at both ends; a word that a lexicon lacks is left out.
        """
        tables = [{pair.word: pair.answers[0] for pair in lexicon.pairs} for lexicon in lexicons]
        last = {pair.word: pair.answers[0] for pair in lexicons[-1].single_words().pairs}
        rows = [
            (word, *(table[word] for table in tables[:-1]), answer)
            for word, answer in last.items()
            if all(word in table for table in tables)
        ]
        return cls(route, tuple(rows))

    def chosen(self, shots: int, seed: int = 0) -> tuple[tuple[str, ...], ...]:
        """Demonstrations at random.

        A hash of the seed and the source word decides, so that a pair's routes through different
        bridges show the same words wherever all of them have these.

        Raises
        ------
        InputError
            Fewer words than shots.
        """
        self._require(shots)
        return tuple(sorted(self.rows, key=lambda row: _place(row, seed))[: max(0, shots)])

    def without(self, text: str) -> Demonstrations:
        """All but those of a text that is to be translated: they would give its answer away."""
        asked = normalise(text)
        return replace(self, rows=tuple(row for row in self.rows if normalise(row[0]) != asked))

    def nearest(self, model: Model, text: str, shots: int) -> tuple[tuple[str, ...], ...]:
        """Demonstrations of the words nearest to a text; the nearest comes last, next to the text.

        Near by the cosine of the means of the model's own input embeddings.

        Raises
        ------
        InputError
            Fewer words than shots, or an empty text.
        """
        import torch

        self._require(shots)
        if shots < 1:
            return ()
        tokens = candidate_tokens(model, [text, *(row[0] for row in self.rows)])
        embed = model.network.get_input_embeddings()
        with torch.inference_mode():
            means = torch.stack(
                [embed(torch.tensor(ids, device=model.device)).float().mean(0) for ids in tokens]
            )
            near = torch.cosine_similarity(means[1:], means[:1]).tolist()
        order = sorted(range(len(near)), key=lambda row: (-near[row], _place(self.rows[row], 0)))
        return tuple(self.rows[row] for row in reversed(order[:shots]))

    def _require(self, shots: int) -> None:
        if shots > len(self.rows):
            raise InputError(
                f"There are {len(self.rows)} words to demonstrate {self.route.label} with, fewer "
                f"than the {shots} asked for: ask for fewer."
            )


def _place(row: Sequence[str], seed: int) -> bytes:
    """Where a seed puts a demonstration."""
    return hashlib.sha256(f"{seed}\n{row[0]}".encode()).digest()
