"""What writing text takes and gives, whichever backend writes it: a local model or a server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from .errors import InputError
from .progress import Advances

Finish = Literal["stop", "length", "end"]


@dataclass(frozen=True)
class Decoding:
    """How text is written.

    Attributes
    ----------
    max_tokens : longest answer, in tokens.
    stop : texts that end it; the first one to appear, and what follows, is no part of the answer.
    temperature : 0 writes the most probable token every time (greedy); above, tokens are drawn.
    top_p : drawn from the fewest tokens that hold this share of the probability.
    seed : of the drawing.

    Raises
    ------
    InputError
        A number out of range.
    """

    max_tokens: int = 16
    stop: tuple[str, ...] = ('"', "\n")
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise InputError("An answer needs room for at least one token.")
        if not 0 <= self.temperature <= 5:
            raise InputError(f"The temperature {self.temperature:g} is not between 0 and 5.")
        if not 0 < self.top_p <= 1:
            raise InputError(f"The share of probability {self.top_p:g} is not between 0 and 1.")


@dataclass(frozen=True)
class Generated:
    """Text that a backend wrote.

    Attributes
    ----------
    text : the answer, up to the stop text.
    log_probabilities : natural logarithm of each written token's probability, the one that brought
        the stop text included; empty where the backend does not tell.
    finish : ``stop`` at a stop text, ``end`` at the model's end of text, ``length`` cut off.
    """

    text: str
    log_probabilities: tuple[float, ...] = ()
    finish: Finish = "length"

    @property
    def log_probability(self) -> float | None:
        """Of the whole answer; None where the backend does not tell."""
        return sum(self.log_probabilities) if self.log_probabilities else None


@dataclass(frozen=True)
class CandidateScores:
    """How probable each candidate is as what follows each prompt.

    Attributes
    ----------
    log_probability : float64 (P, C), summed over the candidate's tokens, natural logarithm.
    tokens : int64 (C,), tokens of each candidate.
    """

    log_probability: np.ndarray
    tokens: np.ndarray


class Backend(Protocol):
    """What writes text."""

    @property
    def title(self) -> str:
        """Its name, for people."""

    @property
    def no_scores(self) -> str | None:
        """Why it cannot score candidates, as a sentence; None if it can."""

    def generate(
        self,
        prompts: Sequence[str],
        decoding: Decoding,
        *,
        progress: Advances | None = None,
    ) -> list[Generated]:
        """One answer a prompt; ``progress`` is advanced by the prompts done."""

    def stream(self, prompt: str, decoding: Decoding) -> Iterator[Generated]:
        """The answer as it grows, a token at a time; the last one is whole."""

    def alternatives(self, prompt: str, decoding: Decoding, count: int = 5) -> list[Generated]:
        """Other answers, most probable first, that begin with different tokens."""

    def score_candidates(
        self,
        prompts: Sequence[str],
        candidates: Sequence[str],
        *,
        progress: Advances | None = None,
    ) -> CandidateScores:
        """The log-probability of every candidate after every prompt."""
