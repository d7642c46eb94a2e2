"""Chains whose every step has a text of its own: how tasks go, and free ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ..decoding import Backend, Decoding, Generated
from ..errors import InputError
from ..languages import Language
from ..progress import Advances
from ..prompts import name_in_prompts
from ..xicl import Chain, Route, Step
from .templates import fill, require_placeholders

_LETTER_TOKENS = 4
_OPENS = "\"'“”«»‘’「『([{"


@dataclass(frozen=True)
class PromptStep:
    """One prompt of a chain.

    Attributes
    ----------
    language : of the answer.
    text : with placeholders.
    letters : what the answer chooses among; empty where it is written freely.
    max_tokens : longest answer that is written freely.
    above : demonstrations, as they are to stand above it.
    """

    language: Language
    text: str
    letters: str = ""
    max_tokens: int = 256
    above: str = ""

    @property
    def decoding(self) -> Decoding:
        """Greedy; an answer ends with its line."""
        return Decoding(_LETTER_TOKENS if self.letters else self.max_tokens, stop=("\n",))

    def prompt(self, chain: Chain, values: Mapping[str, str]) -> str:
        """The text that goes in, behind what the chain wrote so far."""
        written = {f"step{n}": step.answer for n, step in enumerate(chain.steps, start=1)}
        own = {"language": name_in_prompts(self.language)}
        return self.above + fill(self.text, {**own, **values, **written})


def run_prompts(
    backend: Backend,
    chains: Sequence[Chain],
    steps: Sequence[PromptStep],
    values: Sequence[Mapping[str, str]],
    progress: Advances | None = None,
) -> list[Chain]:
    """Write every step of chains that were not begun; ``values`` fill the placeholders of each.

    A letter is the most probable one, or where the backend has no scores what it writes.
    ``progress`` is advanced by one for every chain and step.
    """
    chains = list(chains)
    for step in steps:
        prompts = [step.prompt(chain, each) for chain, each in zip(chains, values, strict=True)]
        outputs = (
            _chosen(backend, prompts, step.letters, progress)
            if step.letters and not backend.no_scores
            else backend.generate(prompts, step.decoding, progress=progress)
        )
        chains = [
            replace(chain, steps=(*chain.steps, Step(step.language, prompt, output)))
            for chain, prompt, output in zip(chains, prompts, outputs, strict=True)
        ]
    return chains


def stream_prompts(
    backend: Backend, chain: Chain, steps: Sequence[PromptStep], values: Mapping[str, str]
) -> Iterator[Chain]:
    """One chain as it grows; the last one is that of :func:`run_prompts`."""
    for step in steps:
        prompt, before = step.prompt(chain, values), chain
        outputs = (
            iter(_chosen(backend, [prompt], step.letters))
            if step.letters and not backend.no_scores
            else backend.stream(prompt, step.decoding)
        )
        for output in outputs:
            chain = replace(before, steps=(*before.steps, Step(step.language, prompt, output)))
            yield chain


def _chosen(
    backend: Backend, prompts: Sequence[str], letters: str, progress: Advances | None = None
) -> list[Generated]:
    """The most probable letter behind each prompt."""
    space = separator(prompts[0])
    scores = backend.score_candidates(
        prompts, [space + letter for letter in letters], progress=progress
    ).log_probability
    return [Generated(letters[row.argmax()], (float(row.max()),), "end") for row in scores]


def separator(prompt: str) -> str:
    """What stands between a prompt and its answer: a space, unless it ends in one or in a quote."""
    return "" if prompt[-1:].isspace() or prompt[-1:] in _OPENS else " "


@dataclass(frozen=True)
class FreeChain:
    """A chain of one's own: any number of steps, in any languages.

    A step's text may hold ``{text}``, ``{source}`` and ``{language}`` (the names of the languages
    that the text and the answer are in), and ``{step1}``, ``{step2}`` … (earlier answers).

    Attributes
    ----------
    source : the language of the text.
    steps : at least one.

    Raises
    ------
    InputError
        No step, all in the source language, an unknown placeholder, or a step that takes neither
        the text nor an earlier answer.
    """

    source: Language
    steps: tuple[PromptStep, ...]

    def __post_init__(self) -> None:
        if not self.steps:
            raise InputError("A chain has at least one step: add one.")
        self.route  # noqa: B018 - refuses what it cannot be made of
        known = {"text", "source", "language"}
        for number, step in enumerate(self.steps, start=1):
            require_placeholders(step.text, known, (), f"Step {number}")
            inputs = ["text", *(f"step{k}" for k in range(1, number))]
            if not any(f"{{{name}}}" in step.text for name in inputs):
                raise InputError(
                    f"Step {number} lacks {{text}}, or an earlier answer such as {{step1}}: put "
                    "one where it shall stand."
                )
            known.add(f"step{number}")

    @cached_property
    def route(self) -> Route:
        """Its languages in their order, each once."""
        return Route(tuple(dict.fromkeys([self.source, *(step.language for step in self.steps)])))

    def run(
        self, backend: Backend, texts: Sequence[str], *, progress: Advances | None = None
    ) -> list[Chain]:
        """Send texts along it.

        Raises
        ------
        InputError
            An empty text, or whatever the backend cannot do.
        """
        chains = [Chain(self.route, _filled(text)) for text in texts]
        values = [self._values(text) for text in texts]
        return run_prompts(backend, chains, self.steps, values, progress)

    def stream(self, backend: Backend, text: str) -> Iterator[Chain]:
        """One chain as it grows."""
        chain = Chain(self.route, _filled(text))
        return stream_prompts(backend, chain, self.steps, self._values(text))

    def _values(self, text: str) -> dict[str, str]:
        return {"text": text.strip(), "source": name_in_prompts(self.source)}


def _filled(text: str) -> str:
    if not text.strip():
        raise InputError("There is no text to send along the chain: type one.")
    return text
