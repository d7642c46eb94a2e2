"""What servers answer → text and tokens, in the protocol's shapes and those of its dialects.

An answer of another shape raises what Python raises of itself: LookupError, TypeError, ValueError
or AttributeError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from ..decoding import Decoding, Finish, Generated

Choice = Mapping[str, Any]


@dataclass(frozen=True)
class Token:
    """A token as a server tells it; ``top`` has the most probable ones at its place."""

    text: str
    log_probability: float | None
    top: Mapping[str, float]


def plain(answer: Any) -> dict[str, Any]:
    """The client's object as the server's JSON."""
    return dict(answer.to_dict(warnings=False))


def first_choice(answer: Mapping[str, Any]) -> Choice:
    """The choice of an answer that has one."""
    return dict(answer["choices"][0])


def text_of(choice: Choice) -> str:
    """What a choice says: a text, a message or a piece of one, which may be empty."""
    if "text" in choice:
        text = choice["text"]
    else:
        text = (choice["message"] if "message" in choice else choice["delta"]).get("content") or ""
    if not isinstance(text, str):
        raise TypeError("no text")
    return text


def tokens_of(choice: Choice) -> list[Token]:
    """The tokens of a choice; none if the server does not tell.

    There are two shapes: lists side by side (text completions), and a list of tokens (chats, and
    the text completions of llama.cpp).
    """
    told = choice.get("logprobs") or {}
    if told.get("content") is not None:
        return [
            _token(
                each["token"],
                each["logprob"],
                {other["token"]: other["logprob"] for other in each.get("top_logprobs") or ()},
            )
            for each in told["content"]
        ]
    texts = told.get("tokens") or []
    top = told.get("top_logprobs") or [None] * len(texts)
    return [
        _token(*each) for each in zip(texts, told.get("token_logprobs") or [], top, strict=True)
    ]


def _token(text: str, log_probability: float | None, top: Mapping[str, float] | None) -> Token:
    value = None if log_probability is None else float(log_probability)
    return Token(str(text), value, {str(key): float(each) for key, each in (top or {}).items()})


def stop_at(text: str, decoding: Decoding) -> int | None:
    """Where the first stop text begins."""
    return min(
        (at for stop in decoding.stop if stop and (at := text.find(stop)) >= 0), default=None
    )


def generated(text: str, tokens: Sequence[Token], choice: Choice, decoding: Decoding) -> Generated:
    """The answer up to the stop text, with the tokens up to the one that brought it."""
    at = stop_at(text, decoding)
    told = [token.log_probability for token in _until_stop(tokens, decoding, at is not None)]
    known = tuple(value for value in told if value is not None)
    finish = _finish(choice, decoding) if at is None else "stop"
    return Generated(text[:at], known if len(known) == len(told) else (), finish)


def _until_stop(tokens: Sequence[Token], decoding: Decoding, stopped: bool) -> Sequence[Token]:
    """No tokens where a stop text has come and is in none of them: they spell another text."""
    text = ""
    for index, token in enumerate(tokens):
        text += token.text
        if stop_at(text, decoding) is not None:
            return tokens[: index + 1]
    return () if stopped else tokens


def _finish(choice: Choice, decoding: Decoding) -> Finish:
    """How an answer ended that holds no stop text: the server may have taken it off."""
    reason = choice.get("finish_reason")
    if reason in (None, "length"):
        return "length"
    # Some servers (vLLM) tell the stop text, or None at the end of text.
    return "stop" if reason == "stop" and choice.get("stop_reason", decoding.stop) else "end"


def added(alone: Sequence[Token], read: Sequence[Token]) -> tuple[float, int]:
    """Log-probability and number of the tokens that a candidate adds to its prompt.

    Where it changes how the end of the prompt is cut into tokens, those count on both sides.

    >>> quote, word = Token('"', -1.0, {}), Token("Hund", -2.5, {})
    >>> added([quote], [quote, word])
    (-2.5, 1)
    """
    pairs = zip(alone, read, strict=False)
    shared = len(list(takewhile(lambda pair: pair[0].text == pair[1].text, pairs)))
    total = sum(token.log_probability or 0.0 for token in read[shared:])
    before = sum(token.log_probability or 0.0 for token in alone[shared:])
    return total - before, len(read) - shared
