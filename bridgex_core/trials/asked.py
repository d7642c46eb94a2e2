"""What is tried: a word, an item of a task, or a text along a chain of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..bli import Bli
from ..candidates import LocalBackend
from ..decoding import Backend, Decoding
from ..errors import InputError
from ..languages import Register
from ..languages import register as bundled_register
from ..lexicons import CLDR, concept_languages, open_lexicon
from ..prompts import PAPER_TEMPLATE, ChainTemplate
from ..scoring import is_right, normalise
from ..tasks import FreeChain, Item, PromptTask
from ..xicl import Chain, Examples, Route, stream

_ENGLISH = "eng_Latn"


@dataclass(frozen=True)
class Trial:
    """A word or sentence to translate.

    Attributes
    ----------
    text : a word or sentence of the source language.
    source, target, bridges : FLORES codes.
    together : one chain through all bridges in their order, instead of a chain a bridge.
    shots : demonstrations above the text; the text itself is never among them.
    nearest : they are the words nearest to the text by the model's own embeddings, instead of drawn
        at random.
    seed : of the demonstrations, and of tokens that are drawn.
    template : how a chain is written down.
    max_tokens, temperature, top_p : see :class:`bridgex_core.decoding.Decoding`.

    Raises
    ------
    InputError
        An empty text, or what ``Decoding`` refuses.
    """

    text: str
    source: str
    target: str
    bridges: tuple[str, ...] = ()
    together: bool = False
    shots: int = 4
    nearest: bool = False
    seed: int = 0
    template: ChainTemplate = PAPER_TEMPLATE
    max_tokens: int = 16
    temperature: float = 0.0
    top_p: float = 1.0
    register: Register = field(default_factory=bundled_register, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise InputError("There is no text: type a word, or take one from the lexicon.")
        self.decoding  # noqa: B018 - refuses what it cannot be made of

    @property
    def decoding(self) -> Decoding:
        """How the chains are written."""
        stops = self.template.stops
        return Decoding(self.max_tokens, stops, self.temperature, self.top_p, self.seed)

    @cached_property
    def routes(self) -> tuple[Route, ...]:
        """The direct route first.

        Raises
        ------
        InputError
            A language that comes twice.
        """
        through = [self.bridges] if self.together else [[bridge] for bridge in self.bridges]
        return _routes(self.source, self.target, [each for each in through if each], self.register)

    def steps(self, route: Route) -> int:
        """Prompts of a route."""
        return len(route.languages) - 1

    def chains(self, route: Route, examples: Examples, backend: Backend) -> Iterator[Chain]:
        """The chain as it grows."""
        return stream(
            backend,
            route,
            self.text,
            examples=examples,
            template=self.template,
            decoding=self.decoding,
        )

    def settings(self) -> dict[str, Any]:
        """How it is asked, as a file tells it."""
        return {
            "task": Bli.name,
            "together": self.together,
            "shots": self.shots,
            "demonstrations": "nearest" if self.nearest else "random",
            "seed": self.seed,
            "template": {"link": self.template.link, "arrow": self.template.arrow},
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
        }

    @cached_property
    def _task(self) -> Bli:
        """The words that go with it: for demonstrations, and to rank the gold word among."""
        return Bli(
            self.source,
            self.target,
            shots=self.shots,
            seed=self.seed,
            template=self.template,
            register=self.register,
        )

    def examples(self, route: Route, backend: Backend) -> Examples:
        """The demonstrations of a route.

        Raises
        ------
        InputError
            The lexicon lacks a language or has too few words; nearest ones of a server.
        """
        if not self.shots:
            return ()
        if self.nearest and not isinstance(backend, LocalBackend):
            raise InputError(
                "The nearest demonstrations are found by the model's own embeddings, which a "
                "server does not give: take random ones."
            )
        try:
            known = self._task.demonstrations(route).without(self.text)
        except InputError as error:
            raise InputError(f"{error} Or ask without demonstrations.") from error
        if self.nearest and isinstance(backend, LocalBackend):
            return known.nearest(backend.model, self.text, self.shots)
        return known.chosen(self.shots, self.seed)

    def accepted(self, code: str) -> tuple[str, ...]:
        """What the lexicon accepts as the text's translation, best first; empty if it lacks it."""
        if code not in self._accepted:
            self._accepted[code] = self._look_up(code)
        return self._accepted[code]

    @cached_property
    def _accepted(self) -> dict[str, tuple[str, ...]]:
        return {}

    def _look_up(self, code: str) -> tuple[str, ...]:
        if not {self.source, code} <= set(concept_languages()) or code == self.source:
            return ()
        asked = normalise(self.text)
        pairs = open_lexicon(CLDR, self.source, code, register=self.register).pairs
        found = (pair for pair in pairs if normalise(pair.word) == asked)
        return tuple(answer for pair in found for answer in (*pair.answers, *pair.keyword_answers))

    def right(self, chain: Chain) -> tuple[bool | None, ...]:
        """Whether each step's answer is accepted; None where the lexicon does not tell."""
        accepted = [(step.answer, self.accepted(step.language.code)) for step in chain.steps]
        return tuple(is_right(answer, gold) if gold else None for answer, gold in accepted)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that an answer may be in: those of the routes, and English."""
        return tuple(dict.fromkeys((self.source, *self.bridges, self.target, _ENGLISH)))

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """The words that the gold word is ranked among: those of an evaluation, and itself."""
        words, asked = self._task.words, normalise(self.text)
        places = (at for at, pair in enumerate(words) if normalise(pair.word) == asked)
        choices = self._task.candidates_of(next(places, 0))
        return tuple(dict.fromkeys((*choices, *self.accepted(self.target)[:1])))


@dataclass(frozen=True)
class ItemTrial:
    """An item of a task, or a text of one's own for it.

    Attributes
    ----------
    task : reading, inference, translation or summary.
    item : what is asked; its gold answer is empty where there is none.
    bridges : FLORES codes, a chain for each.
    """

    task: PromptTask
    item: Item
    bridges: tuple[str, ...] = ()
    register: Register = field(default_factory=bundled_register, repr=False, compare=False)

    @property
    def text(self) -> str:
        """The passage, the premise or the text."""
        return self.item.fields[self.task.kind.text]

    @property
    def source(self) -> str:
        """FLORES code."""
        return self.task.source

    @property
    def target(self) -> str:
        """FLORES code."""
        return self.task.target

    @cached_property
    def routes(self) -> tuple[Route, ...]:
        """The direct route first."""
        return _routes(
            self.source, self.target, [[bridge] for bridge in self.bridges], self.register
        )

    def examples(self, route: Route, backend: Backend) -> Examples:
        """None: the task's prompts hold its demonstrations."""
        self.task.prompts(route)  # refuses what the task cannot do
        return ()

    def steps(self, route: Route) -> int:
        """Prompts of a route."""
        return len(self.task.kind.plans(bool(route.bridges)))

    def chains(self, route: Route, examples: Examples, backend: Backend) -> Iterator[Chain]:
        """The chain as it grows."""
        return self.task.stream(backend, route, self.item)

    def settings(self) -> dict[str, Any]:
        """How it is asked, as a file tells it."""
        template = self.task.template
        return {
            "task": self.task.name,
            "item": dict(self.item.fields),
            "origin": self.item.origin,
            "shots": self.task.shots,
            "seed": self.task.seed,
            "template": {"direct": list(template.direct), "bridged": list(template.bridged)},
        }

    def accepted(self, code: str) -> tuple[str, ...]:
        """The gold answer, for the target."""
        return (self.item.gold,) if self.item.gold and code == self.target else ()

    def right(self, chain: Chain) -> tuple[bool | None, ...]:
        """Whether the last answer chooses the right letter; None for all else."""
        told: list[bool | None] = [None] * len(chain.steps)
        if self.task.kind.letters and self.item.gold and len(told) == self.steps(chain.route):
            told[-1] = bool(self.task.scores([chain], [self.item])[0])
        return tuple(told)

    def score(self, chain: Chain) -> float | None:
        """chrF of a finished chain against the gold text, 0 to 1; None where there is none."""
        if self.task.kind.letters or not self.item.gold:
            return None
        return float(self.task.scores([chain], [self.item])[0])

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that an answer may be in: those of the routes, and English."""
        return tuple(dict.fromkeys((self.source, *self.bridges, self.target, _ENGLISH)))


@dataclass(frozen=True)
class FreeTrial:
    """A text along a chain of one's own.

    Attributes
    ----------
    text : in the chain's source language.
    chain : the steps.
    """

    text: str
    chain: FreeChain
    register: Register = field(default_factory=bundled_register, repr=False, compare=False)

    @property
    def source(self) -> str:
        """FLORES code."""
        return self.chain.source.code

    @property
    def target(self) -> str:
        """FLORES code of the last answer."""
        return self.chain.steps[-1].language.code

    @property
    def bridges(self) -> tuple[str, ...]:
        """FLORES codes of the languages between."""
        return tuple(code for code in self.languages if code not in (self.source, self.target))

    @property
    def routes(self) -> tuple[Route, ...]:
        """The one route."""
        return (self.chain.route,)

    def examples(self, route: Route, backend: Backend) -> Examples:
        """None."""
        return ()

    def steps(self, route: Route) -> int:
        """Prompts of the chain."""
        return len(self.chain.steps)

    def chains(self, route: Route, examples: Examples, backend: Backend) -> Iterator[Chain]:
        """The chain as it grows."""
        return self.chain.stream(backend, self.text)

    def settings(self) -> dict[str, Any]:
        """How it is asked, as a file tells it."""
        steps = [{"language": step.language.code, "text": step.text} for step in self.chain.steps]
        return {"task": "chain", "shots": 0, "seed": 0, "template": steps}

    def accepted(self, code: str) -> tuple[str, ...]:
        """Nothing: a chain of one's own has no gold answers."""
        return ()

    def right(self, chain: Chain) -> tuple[bool | None, ...]:
        """Nothing tells."""
        return (None,) * len(chain.steps)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that an answer may be in: those of the chain, and English."""
        return tuple(dict.fromkeys((*self.chain.route.codes, _ENGLISH)))


AnyTrial = Trial | ItemTrial | FreeTrial


def _routes(
    source: str, target: str, through: Sequence[Sequence[str]], register: Register
) -> tuple[Route, ...]:
    """The direct route, and one through each row of bridges."""
    ends = register[source], register[target]
    between = [[register[code] for code in row] for row in through]
    return (Route.of(*ends), *(Route((ends[0], *row, ends[1])) for row in between))
