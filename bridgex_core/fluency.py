"""How fluent a model is in a text: bits a byte."""

from __future__ import annotations

import bz2
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .activations import split_blocks
from .errors import InputError
from .progress import Advances

if TYPE_CHECKING:
    from .models import Model

SCORE_TOKENS = 1024  # longest input, the start token included


@dataclass(frozen=True)
class Fluency:
    """How many bits a model needs to write a text.

    Attributes
    ----------
    bits : float64 (B,), −log2 of the probability of each block's tokens, each given those before.
    byte_counts : int64 (B,), UTF-8 bytes of each block.
    """

    bits: np.ndarray
    byte_counts: np.ndarray

    @property
    def bits_per_byte(self) -> float:
        """Bits a UTF-8 byte: lower is more fluent; bytes, unlike tokens, suit every tokenizer."""
        return float(self.bits.sum() / self.byte_counts.sum())

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of bits a byte, from leaving out one block at a time (jackknife)."""
        kept = self.byte_counts > 0
        bits, sizes = self.bits[kept], self.byte_counts[kept]
        if len(bits) < 2:
            return (float("nan"), float("nan"))
        left_out = (bits.sum() - bits) / (sizes.sum() - sizes)
        spread = np.square(left_out - left_out.mean()).sum() * (len(bits) - 1) / len(bits)
        half = 1.959964 * float(np.sqrt(spread))
        return (self.bits_per_byte - half, self.bits_per_byte + half)

    def tensors(self) -> dict[str, np.ndarray]:
        """What the store keeps."""
        return {"bits": self.bits, "byte_counts": self.byte_counts}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> Fluency:
        """The inverse of :meth:`tensors`."""
        return cls(tensors["bits"], tensors["byte_counts"])


def untaught_bits_per_byte(texts: Sequence[str]) -> float:
    """Bits a UTF-8 byte that bz2 needs: a compressor that knows no language, only this text.

    >>> 0 < untaught_bits_per_byte(["All human beings are born free and equal. " * 9]) < 8
    True
    """
    data = "\n".join(texts).encode()
    return 8 * len(bz2.compress(data)) / max(len(data), 1)


def hardly_known(fluency: Fluency, texts: Sequence[str]) -> bool:
    """Whether the model writes the text no better than :func:`untaught_bits_per_byte`.

    Then its neurons react to letters rather than to a language, and what they share says little.
    """
    return fluency.bits_per_byte >= untaught_bits_per_byte(texts)


def score_text(
    model: Model,
    texts: Sequence[str],
    *,
    skip: frozenset[int] = frozenset(),
    on_block: Callable[[int, Fluency], None] | None = None,
    progress: Advances | None = None,
) -> Fluency:
    """Bits that a model needs for each block of a text.

    Every block is read from its start after the beginning-of-sequence token (where the model has
    none, after its end-of-text token); a block longer than :data:`SCORE_TOKENS` is cut into pieces.

    Parameters
    ----------
    model : a loaded model.
    texts : the blocks.
    skip : blocks that are done already; their bits stay zero.
    on_block : called with a block's number and its result (B = 1) as soon as it is whole.
    progress : advanced by the tokens of each block.

    Raises
    ------
    InputError
        No text at all, or a model without any token to start from.
    """
    if not any(texts):
        raise InputError("There is no text to score.")
    start = model.bos or _start_token(model)
    sizes = np.array([len(text.encode()) for text in texts], dtype=np.int64)
    bits = np.zeros(len(texts))
    for block, text in enumerate(texts):
        if block in skip:
            continue
        tokens = model.encode(text)
        bits[block] = _bits(model, start, tokens)
        if on_block is not None:
            on_block(block, Fluency(bits[block : block + 1].copy(), sizes[block : block + 1]))
        if progress is not None:
            progress.advance(float(len(tokens)))
    return Fluency(bits, sizes)


def _bits(model: Model, start: tuple[int, ...], tokens: list[int]) -> float:
    import torch

    total = 0.0
    room = min(SCORE_TOKENS, model.context) - len(start)
    for _, piece in split_blocks([tokens], room):
        ids = torch.tensor([[*start, *piece]], device=model.device)
        with torch.inference_mode():
            logits = model.network(input_ids=ids, use_cache=False).logits[0, len(start) - 1 : -1]
            loss = torch.nn.functional.cross_entropy(
                logits.float(), ids[0, len(start) :], reduction="sum"
            )
        total += float(loss) / math.log(2)
    return total


def _start_token(model: Model) -> tuple[int, ...]:
    token = model.tokenizer.eos_token_id
    if token is None:
        raise InputError(
            f"{model.source.title} has neither a beginning nor an end token, so the first token "
            "of a text cannot be scored."
        )
    return (int(token),)
