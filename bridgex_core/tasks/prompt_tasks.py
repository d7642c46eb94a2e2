"""Reading, inference, translation, summaries: items asked, routes run, answers judged."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..decoding import Backend
from ..errors import InputError
from ..evaluation import RouteResult
from ..languages import Language
from ..perturbations import distracting_words, perturb, require_perturbation
from ..perturbations import identity as perturbed_identity
from ..progress import Advances
from ..prompts import name_in_prompts
from ..scoring import chosen_letter, sentence_chrf
from ..xicl import Chain, Route
from .prompt_chains import PromptStep, run_prompts, separator, stream_prompts
from .templates import Kind, Role, TaskTemplate, fill

Translations = Callable[[str], Mapping[str, str]]
"""A language's code → what texts of the source language are in it, as far as the data tells."""


@dataclass(frozen=True)
class Item:
    """Something to ask.

    Attributes
    ----------
    fields : what fills the placeholders of the task's :class:`Kind`.
    gold : the right letter, or the reference text.
    origin : where it comes from, for people.
    """

    fields: Mapping[str, str]
    gold: str
    origin: str = ""


@dataclass(frozen=True)
class PromptTask:
    """A task for :class:`bridgex_core.study.Evaluations`; made by :func:`open_task`.

    Attributes
    ----------
    kind : what it is.
    source, target : FLORES codes.
    items : what is asked; may be empty where only texts of one's own are.
    known : items to demonstrate with; none has the text of one that is asked.
    translations : what demonstrations need of a bridge.
    shots : demonstrations above every prompt, separated by an empty line.
    seed : of their choice, and of the perturbation.
    template : the texts of the prompts.
    perturbation : what is done to the passages, premises or texts before they are asked, one of
        :data:`bridgex_core.perturbations.PERTURBATIONS`; empty for nothing.

    Raises
    ------
    InputError
        A template that the task cannot fill, source and target the same where the task does not
        have that, demonstrations where it has none, or no such perturbation.
    """

    kind: Kind
    source: str
    target: str
    items: tuple[Item, ...]
    template: TaskTemplate
    known: tuple[Item, ...] = field(default=(), repr=False)
    translations: Translations | None = field(default=None, repr=False, compare=False)
    shots: int = 0
    seed: int = 0
    perturbation: str = ""

    def __post_init__(self) -> None:
        self.kind.check(self.template)
        if self.perturbation:
            require_perturbation(self.perturbation)
        if self.source == self.target and not self.kind.within:
            raise InputError(
                f"Source and target are both {self.source}: {self.name} goes between two languages."
            )
        if self.shots > 0 and not self.kind.shown:
            raise InputError(
                f"The data of {self.name} does not tell what its steps should write, so there are "
                "no demonstrations: ask for 0 shots."
            )

    @property
    def name(self) -> str:
        """The task's name."""
        return self.kind.name

    @property
    def measure(self) -> str:
        """What a score is."""
        return self.kind.measure

    @cached_property
    def asked(self) -> tuple[Item, ...]:
        """The items as the model reads them: what is in the source language, perturbed."""
        if not self.perturbation:
            return self.items
        others = self._distractors() if self.perturbation == "distractors" else []
        return tuple(self._perturbed(item, others) for item in self.items)

    @property
    def changed(self) -> np.ndarray:
        """Which items the perturbation changes, bool (N,)."""
        return np.array([a.fields != b.fields for a, b in zip(self.asked, self.items, strict=True)])

    def _perturbed(self, item: Item, others: Sequence[str]) -> Item:
        name = self.kind.text
        text = perturb(
            item.fields[name], self.perturbation, self.source, seed=self.seed, distractors=others
        )
        return replace(item, fields={**item.fields, name: text})

    def _distractors(self) -> list[str]:
        texts = dict.fromkeys(each.fields[self.kind.text] for each in (*self.items, *self.known))
        return [word for text in texts for word in distracting_words(text, self.source)]

    def identity(self) -> dict[str, Any]:
        """Everything that its results depend on, model and route aside."""
        return {
            "task": self.name,
            "source": self.source,
            "target": self.target,
            "items": _digest(self.items),
            "known": _digest(self.known) if self.shots else "",
            "shots": self.shots,
            "seed": self.seed,
            "template": asdict(self.template),
            "max_tokens": self.kind.max_tokens,
            **perturbed_identity(
                self.perturbation, [item.fields[self.kind.text] for item in self.asked]
            ),
        }

    def labels(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """The texts, unperturbed, and the right letter or the reference of each."""
        texts = tuple(item.fields[self.kind.text] for item in self.items)
        return texts, tuple((item.gold,) for item in self.items)

    def steps(self, route: Route) -> int:
        """Units of progress of a route: a prompt answered."""
        return len(self.items) * len(self.kind.plans(bool(route.bridges)))

    def evaluate(
        self, backend: Backend, route: Route, *, progress: Advances | None = None
    ) -> RouteResult:
        """Every item along a route, judged."""
        chains = self.run(backend, route, self.asked, progress=progress)
        answers = tuple(chain.words[1:] for chain in chains)
        return RouteResult(route.codes, self.scores(chains, self.items), answers)

    def scores(self, chains: Sequence[Chain], items: Sequence[Item]) -> np.ndarray:
        """(N,) right (1) or wrong (0), or chrF as a share, 0 to 1."""
        answers, gold = [chain.answer for chain in chains], [item.gold for item in items]
        if not self.kind.letters:
            return sentence_chrf(answers, gold) / 100
        chosen = [chosen_letter(answer, self.kind.letters) for answer in answers]
        return np.array(
            [letter == right for letter, right in zip(chosen, gold, strict=True)], dtype=np.float64
        )

    def run(
        self,
        backend: Backend,
        route: Route,
        items: Sequence[Item],
        *,
        progress: Advances | None = None,
    ) -> list[Chain]:
        """The chains of some items, of the task's or of one's own."""
        chains = [self._begun(route, item) for item in items]
        values = [self._values(route, item) for item in items]
        return run_prompts(backend, chains, self.prompts(route), values, progress)

    def stream(self, backend: Backend, route: Route, item: Item) -> Iterator[Chain]:
        """The chain of an item as it grows."""
        chain, values = self._begun(route, item), self._values(route, item)
        return stream_prompts(backend, chain, self.prompts(route), values)

    def prompts(self, route: Route) -> tuple[PromptStep, ...]:
        """The steps of a route, with their demonstrations.

        Raises
        ------
        InputError
            More than one bridge, or fewer items to demonstrate with than shots.
        """
        if len(route.bridges) > 1:
            raise InputError(
                f"The task {self.name} goes through one bridge at most, {route.label} has "
                f"{len(route.bridges)}: make it a free chain."
            )
        languages = self._languages(route)
        bridged = bool(route.bridges)
        texts = self.template.bridged if bridged else self.template.direct
        plans = self.kind.plans(bridged)
        shown = self._shown(route)
        return tuple(
            PromptStep(
                languages[plan.writes],
                text,
                self.kind.letters if number == len(plans) else "",
                self.kind.max_tokens,
                "".join(_demonstration(text, values, f"step{number}") for values in shown),
            )
            for number, (plan, text) in enumerate(zip(plans, texts, strict=True), start=1)
        )

    def _begun(self, route: Route, item: Item) -> Chain:
        text = item.fields[self.kind.text]
        if not text.strip():
            raise InputError(f"The {self.kind.text} is empty: give a text.")
        return Chain(route, text)

    def _languages(self, route: Route) -> dict[Role, Language]:
        if (route.source.code, route.target.code) != (self.source, self.target):
            raise ValueError(f"the route {route.label} is not one of {self.source} → {self.target}")
        ends: dict[Role, Language] = {"source": route.source, "target": route.target}
        return ends | ({"bridge": route.bridges[0]} if route.bridges else {})

    def _values(self, route: Route, item: Item) -> dict[str, str]:
        names: dict[str, str] = {
            role: name_in_prompts(each) for role, each in self._languages(route).items()
        }
        return {**names, **item.fields}

    def _shown(self, route: Route) -> list[dict[str, str]]:
        """The demonstrations of a route: what fills their prompts, the answers of steps too."""
        if not self.shots:
            return []
        between: Mapping[str, str] = {}
        if route.bridges and self.translations is not None:
            between = self.translations(route.bridges[0].code)
        rows = []
        for item in sorted(self.known, key=self._place):
            values = self._values(route, item)
            text = item.fields[self.kind.text]
            if not route.bridges:
                rows.append({**values, "step1": item.gold})
            elif text in between:
                rows.append({**values, "step1": between[text], "step2": item.gold})
        if len(rows) < self.shots:
            raise InputError(
                f"There are {len(rows)} items to demonstrate {route.label} with, fewer than the "
                f"{self.shots} asked for: ask for fewer of them, or evaluate fewer items."
            )
        return rows[: self.shots]

    def _place(self, item: Item) -> bytes:
        """Where the seed puts an item among the demonstrations."""
        return _hash(f"{self.seed}\n{item.fields[self.kind.text]}")


def _demonstration(text: str, values: Mapping[str, str], answer: str) -> str:
    """A prompt with its answer, and an empty line."""
    asked = fill(text, values)
    return f"{asked}{separator(asked)}{values[answer]}\n\n"


def divide(
    items: Sequence[Item], count: int, shots: int, text: str
) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """The items to ask, at most ``count``, and those to demonstrate with.

    A hash of the texts decides which; both keep their order. At least ``shots`` texts are left, and
    no text is in both.
    """
    sizes = Counter(item.fields[text] for item in items)
    texts = sorted(sizes, key=_hash)
    before = np.cumsum([0, *(sizes[each] for each in texts)])
    asked = {
        each
        for each, earlier in zip(texts[: len(texts) - shots], before, strict=False)
        if earlier < count
    }
    chosen = [item for item in items if item.fields[text] in asked]
    rest = [item for item in items if item.fields[text] not in asked]
    return tuple(chosen[:count]), tuple(rest)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _digest(items: Sequence[Item]) -> str:
    rows = [[sorted(item.fields.items()), item.gold] for item in items]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
