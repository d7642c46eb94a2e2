"""A model on a server, as what writes text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import numpy as np

from ..decoding import CandidateScores, Decoding, Generated
from ..errors import InputError
from ..progress import Advances
from .answers import (
    Choice,
    Token,
    added,
    first_choice,
    generated,
    plain,
    stop_at,
    text_of,
    tokens_of,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from openai import OpenAI

TIMEOUT = 60.0  # seconds without a byte of the answer
_CONNECT_SECONDS = 5.0
_REQUESTS_AT_ONCE = 4
_MOST_STOPS = 4  # what the protocol allows; all of them are enforced here
_UNASKED = "The server was not asked whether it returns probabilities: connect to it first."
_UNREAD = "Candidates cannot be scored: the server does not return the probabilities of its input."

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Refusal(InputError):
    """The server answered with an HTTP error."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class Unread(InputError):
    """The server answers, but does not tell the probabilities of what it reads."""


@dataclass(frozen=True)
class Endpoint:
    """A model on a server, as a ``Backend``; made by ``connect``, which asks what it can do.

    Attributes
    ----------
    url : the address that the protocol's paths follow; ``/v1`` is added to a bare host.
    model : its name on the server.
    api_key : sent to this server alone and never shown; none is taken from the environment.
    timeout : the longest silence, in seconds.
    chat : the server has chats only: a prompt is one user message, put into the model's chat
        template.
    no_probabilities : why answers come without probabilities, as a sentence; None if they don't.
    no_scores : why it cannot score candidates, as a sentence; None if it can.

    Raises
    ------
    InputError
        No usable URL, key or timeout. Every request: the server is away or silent, refuses, or
        answers what the protocol does not know.
    """

    url: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    timeout: float = TIMEOUT
    chat: bool = False
    no_probabilities: str | None = _UNASKED
    no_scores: str | None = _UNASKED

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", _address(self.url))
        key = (self.api_key or "").strip()
        if not (key.isascii() and key.isprintable()):
            raise InputError("The key holds characters that no key has: copy it again.")
        object.__setattr__(self, "api_key", key or None)
        if not (math.isfinite(self.timeout) and self.timeout > 0):
            raise InputError(f"A timeout of {self.timeout:g} seconds is no time to wait.")

    @property
    def title(self) -> str:
        """The model, where it is, and whether it only chats."""
        return f"{self.model} at {urlsplit(self.url).netloc}{' (as a chat)' if self.chat else ''}"

    def models(self) -> list[str]:
        """The names that the server lists, sorted."""
        with self._told():
            listed = plain(self._client.models.list())["data"] or ()
            return sorted(str(entry["id"]) for entry in listed)

    def generate(
        self,
        prompts: Sequence[str],
        decoding: Decoding,
        *,
        progress: Advances | None = None,
    ) -> list[Generated]:
        """One answer a prompt; ``progress`` is advanced by the prompts done.

        A few requests run at once; where tokens are drawn, one, because some servers keep one
        random state for all. Where a server does not tell a stop text from the model's end of
        text, ``finish`` is ``stop`` if stop texts were asked for.
        """
        _check(prompts)
        at_once = 1 if decoding.temperature > 0 else _REQUESTS_AT_ONCE
        return _each(lambda prompt: self._answer(prompt, decoding), prompts, at_once, progress)

    def stream(self, prompt: str, decoding: Decoding) -> Iterator[Generated]:
        """The answer as it grows, a piece at a time; the last one is whole.

        Raises
        ------
        InputError
            As every request; where the stream breaks off, after yielding what had come.
        """
        _check([prompt])
        return self._grow(prompt, decoding)

    def alternatives(self, prompt: str, decoding: Decoding, count: int = 5) -> list[Generated]:
        """Answers that begin with the ``count`` most probable first tokens, each gone on greedily.

        The most probable whole answer comes first. There are none where the server tells no
        probabilities, and none of a chat, which cannot be given a beginning.
        """
        _check([prompt])
        if self.chat or self.no_probabilities is not None:
            return []
        one = replace(decoding, max_tokens=1, stop=(), temperature=0.0)
        with self._told():
            choice = first_choice(plain(self._send(self._request(prompt, one, top=count))))
            first = tokens_of(choice)[:1]
        ranked = sorted(first[0].top.items(), key=lambda pair: -pair[1]) if first else []
        # A part of a character is no text that could go on.
        begins = [pair for pair in ranked[:count] if pair[0] and "\ufffd" not in pair[0]]
        greedy = replace(decoding, temperature=0.0)
        found = _each(
            lambda begin: self._continued(prompt, *begin, greedy), begins, _REQUESTS_AT_ONCE
        )
        return sorted(found, key=lambda answer: -sum(answer.log_probabilities))

    def score_candidates(
        self,
        prompts: Sequence[str],
        candidates: Sequence[str],
        *,
        progress: Advances | None = None,
    ) -> CandidateScores:
        """The log-probability of every candidate after every prompt.

        The server reads the prompt alone and with each candidate, and tells the log-probability
        of every token it reads: a score is the difference of the two sums. The candidates' tokens
        are counted after the first prompt. ``progress`` is advanced by the prompts done.

        Raises
        ------
        InputError
            The server cannot (``no_scores``); no prompt, no candidate, an empty one of either; or
            as every request.
        """
        if self.no_scores is not None:
            raise InputError(self.no_scores)
        _check(prompts)
        if not candidates:
            raise InputError("There is no candidate to score.")
        if not all(candidate.strip() for candidate in candidates):
            raise InputError("A candidate is empty: leave it out.")
        share = 1 / (len(candidates) + 1)
        scores = np.empty((len(prompts), len(candidates)))
        counts = np.empty_like(scores, dtype=np.int64)
        for row, prompt in enumerate(prompts):
            texts = [prompt, *(prompt + candidate for candidate in candidates)]
            alone, *read = _each(self.read, texts, _REQUESTS_AT_ONCE, progress, share)
            for column, tokens in enumerate(read):
                scores[row, column], counts[row, column] = added(alone, tokens)
        return CandidateScores(scores, counts[0])

    def read(self, text: str) -> list[Token]:
        """The tokens of a text that the server reads; the first may have no log-probability.

        Raises
        ------
        InputError
            The server does not tell (``Unread``), or as every request.
        """
        request = self._request(text, Decoding(max_tokens=1, stop=()))
        with self._told():
            answer = plain(self._send({**request, "echo": True, "logprobs": 1}))
            choice = first_choice(answer)
            echoed = text_of(choice).startswith(text)
            tokens = tokens_of(choice)
            # Not every server can read without writing: what it wrote comes last.
            written = int((answer.get("usage") or {}).get("completion_tokens", 1))
        read = tokens[: max(len(tokens) - written, 0)]
        if not (echoed and read) or any(each.log_probability is None for each in read[1:]):
            raise Unread(_UNREAD)
        return read

    @cached_property
    def _client(self) -> OpenAI:
        from openai import OpenAI, Timeout

        # What is not given the client takes from the environment: a key meant for another server.
        return OpenAI(
            base_url=self.url,
            api_key=self.api_key or "none",
            admin_api_key="",
            organization="",
            project="",
            timeout=Timeout(self.timeout, connect=min(self.timeout, _CONNECT_SECONDS)),
            max_retries=0,
        )

    @contextmanager
    def _told(self, begun: bool = False) -> Iterator[None]:
        """The client's errors, and an answer of another shape, in one sentence.

        ``begun`` says that a part of the answer has come. The causes are left out: they hold what
        was sent.
        """
        import openai

        try:
            yield
        except InputError:
            raise
        except openai.APITimeoutError:
            raise InputError(
                f"The server {self.url} was silent for {self.timeout:g} seconds: it is busy or "
                "still loading the model; try again, or wait longer."
            ) from None
        except openai.APIConnectionError:
            away = f"No server answers at {self.url}: start it, or check the address."
            raise InputError(self._broken_off() if begun else away) from None
        except openai.APIStatusError as error:
            raise Refusal(self._refusal(error.status_code, error), error.status_code) from None
        except openai.APIError as error:
            raise InputError(self._broken_off(self._said(error))) from None
        except (openai.OpenAIError, ValueError, LookupError, TypeError, AttributeError):
            raise InputError(
                f"What answers at {self.url} does not speak OpenAI's protocol: check the address, "
                "which mostly ends in /v1."
            ) from None

    def _refusal(self, status: int, error: Any) -> str:
        if status in (401, 403):
            return f"The server {self.url} refuses the key (HTTP {status}): give the right one."
        if status == 404:
            sought = f"model {self.model!r}" if self.model else "list of models"
            return f"The server {self.url} has no {sought} (HTTP 404)."
        if status == 429:
            return f"The server {self.url} has too many requests (HTTP {status}): try again later."
        fault = "failed" if status >= 500 else "refuses the request"
        return f"The server {self.url} {fault} (HTTP {status}){self._said(error)}."

    def _said(self, error: Any) -> str:
        """What the server itself says of an error: after a colon, on one line, without the key."""
        said = error.body or ""
        if isinstance(said, dict):
            said = said.get("message") or said.get("detail") or ""
        line = " ".join(str(said).split())
        line = (line.replace(self.api_key, "…") if self.api_key else line)[:200].rstrip(".")
        return f": {line}" if line else ""

    def _broken_off(self, said: str = "") -> str:
        return f"The answer from {self.url} broke off before its end{said}; try again."

    def _request(self, prompt: str, decoding: Decoding, top: int = 1) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self.model,
            "max_tokens": decoding.max_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "seed": decoding.seed,
        }
        if decoding.stop:
            request["stop"] = list(decoding.stop[:_MOST_STOPS])
        if self.no_probabilities is None:
            request |= {"logprobs": True, "top_logprobs": top} if self.chat else {"logprobs": top}
        message = {"role": "user", "content": prompt}
        return request | ({"messages": [message]} if self.chat else {"prompt": prompt})

    def _send(self, request: Mapping[str, Any]) -> Any:
        client = self._client
        create: Any = client.chat.completions.create if self.chat else client.completions.create
        return create(**request)

    def _answer(self, prompt: str, decoding: Decoding) -> Generated:
        with self._told():
            choice = first_choice(plain(self._send(self._request(prompt, decoding))))
            return generated(text_of(choice), tokens_of(choice), choice, decoding)

    def _grow(self, prompt: str, decoding: Decoding) -> Iterator[Generated]:
        text = ""
        tokens: list[Token] = []
        with closing(self._pieces(self._request(prompt, decoding))) as pieces:
            for said, told, choice in pieces:
                text += said
                tokens += told
                yield generated(text, tokens, choice, decoding)
                if choice.get("finish_reason") or stop_at(text, decoding) is not None:
                    return
        raise InputError(self._broken_off())

    def _pieces(
        self, request: Mapping[str, Any]
    ) -> Generator[tuple[str, list[Token], Choice], None, None]:
        """Text, tokens and the whole of each choice that streams in."""
        with self._told():
            stream = self._send({**request, "stream": True})
        with self._told(begun=True), stream:
            for chunk in stream:
                # Some chunks hold no choice, only how many tokens were used.
                for choice in plain(chunk)["choices"][:1]:
                    yield text_of(choice), tokens_of(choice), choice

    def _continued(
        self, prompt: str, begin: str, log_probability: float, decoding: Decoding
    ) -> Generated:
        """The answer that begins with a token."""
        if decoding.max_tokens == 1 or stop_at(begin, decoding) is not None:
            token = Token(begin, log_probability, {})
            return generated(begin, [token], {"finish_reason": "length"}, decoding)
        rest = self._answer(prompt + begin, replace(decoding, max_tokens=decoding.max_tokens - 1))
        told = (log_probability, *rest.log_probabilities)
        return replace(rest, text=begin + rest.text, log_probabilities=told)


def _check(prompts: Sequence[str]) -> None:
    if not prompts:
        raise InputError("There is no prompt to go on from.")
    if not all(prompts):
        raise InputError("A prompt is empty: write what the model shall go on from.")


def _address(url: str) -> str:
    """The address that the protocol's paths follow.

    >>> _address("http://localhost:8000/"), _address("https://llm.example.org/api/v1/completions")
    ('http://localhost:8000/v1', 'https://llm.example.org/api/v1')
    """
    wrong = "That is no address of a server: give one such as http://localhost:8000/v1."
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").encode("ascii").decode()
        port = parts.port
    except ValueError:
        raise InputError(wrong) from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise InputError(
            "An address has a server and a path only: leave out what follows ? and #, and give a "
            "key apart from it."
        )
    if parts.scheme not in ("http", "https") or not host or " " in host or port == 0:
        raise InputError(wrong)
    path = parts.path.rstrip("/")
    for ending in ("/chat/completions", "/completions", "/models"):
        path = path.removesuffix(ending)
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def _each(
    ask: Callable[[_Item], _Result],
    items: Sequence[_Item],
    at_once: int,
    progress: Advances | None = None,
    amount: float = 1.0,
) -> list[_Result]:
    """The results in the order of the items; a few are asked for at once."""
    pool = ThreadPoolExecutor(at_once)
    results = []
    try:
        for future in [pool.submit(ask, item) for item in items]:
            results.append(future.result())
            if progress is not None:
                progress.advance(amount)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return results
