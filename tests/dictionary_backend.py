"""A backend that looks words up: an oracle for chains."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from bridgex_core.decoding import CandidateScores, Decoding, Generated
from bridgex_core.progress import Advances

WORD = re.compile(r'([^→"\n]*):"([^"]*)"')


@dataclass
class DictionaryBackend:
    """Writes what ``answers`` has for the last word of the prompt and the language to write.

    Attributes
    ----------
    answers : (word, the language's name for itself) → what is written; else ``unknown``.
    no_scores : as in ``Backend``.
    calls : the prompts of each call of ``generate``.
    """

    answers: Mapping[tuple[str, str], str]
    unknown: str = "???"
    no_scores: str | None = None
    calls: list[list[str]] = field(default_factory=list)
    title: str = "dictionary"
    model = SimpleNamespace(dtype_name="float32")

    def answer(self, prompt: str) -> Generated:
        line = prompt.split("\n")[-1]
        language = line.split("→")[-1].removesuffix(':"')
        word = WORD.findall(line)[-1][1]
        return Generated(self.answers.get((word, language), self.unknown), (-0.5, -0.25), "stop")

    def generate(
        self, prompts: Sequence[str], decoding: Decoding, *, progress: Advances | None = None
    ) -> list[Generated]:
        self.calls.append(list(prompts))
        if progress is not None:
            progress.advance(len(prompts))
        return [self.answer(prompt) for prompt in prompts]

    def stream(self, prompt: str, decoding: Decoding) -> Iterator[Generated]:
        whole = self.answer(prompt)
        for end in range(1, len(whole.text)):
            yield Generated(whole.text[:end])
        yield whole

    def alternatives(self, prompt: str, decoding: Decoding, count: int = 5) -> list[Generated]:
        return [self.answer(prompt)]

    def score(self, prompt: str, candidate: str) -> float:
        """A number that depends on both and on nothing else."""
        digest = hashlib.sha256(f"{prompt}\n{candidate}".encode()).digest()
        return -int.from_bytes(digest[:2]) / 1000

    def score_candidates(
        self,
        prompts: Sequence[str],
        candidates: Sequence[str],
        *,
        progress: Advances | None = None,
    ) -> CandidateScores:
        assert self.no_scores is None
        if progress is not None:
            progress.advance(len(prompts))
        scores = [[self.score(prompt, each) for each in candidates] for prompt in prompts]
        return CandidateScores(np.array(scores), np.array([len(each) for each in candidates]))


class Scripted(DictionaryBackend):
    """Answers by the end of the prompt, and prefers a letter by it too."""

    def __init__(self, ends: dict[str, str], letters: dict[str, str] | None = None, **settings):
        super().__init__({}, **settings)
        self.ends, self.letters = ends, letters or {}

    def answer(self, prompt: str) -> Generated:
        found = (text for end, text in self.ends.items() if prompt.endswith(end))
        return Generated(next(found, "nothing"), (-1.0,), "stop")

    def score(self, prompt: str, candidate: str) -> float:
        chosen = next((v for part, v in self.letters.items() if part in prompt), "A")
        assert candidate.startswith(" ")
        return -1.0 if candidate.strip() == chosen else -2.0


class Counted:
    """A progress that adds up."""

    def __init__(self) -> None:
        self.done = 0.0

    def advance(self, amount: float, message: str = "") -> None:
        self.done += amount
