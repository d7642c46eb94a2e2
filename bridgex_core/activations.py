"""Text → activation statistics, streaming.

For every neuron: on how many tokens of each block of a text its activation is above zero, and the
sum of its activation. Both add up over texts, so collection can stop, go on, and be shared out.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .errors import InputError
from .progress import Advances

if TYPE_CHECKING:
    import torch

    from .models import Model

MAX_BLOCKS = 32
BLOCK_TOKENS = 256  # longest input, BOS included
# Of a batch, padding included: a processor is busy with little, and little is then padded or lost
# when it is killed; an accelerator wants more.
CPU_BATCH_TOKENS, ACCELERATOR_BATCH_TOKENS = 768, 8192


@dataclass(frozen=True)
class ActivationStats:
    """Statistics of every neuron over B blocks of one text, B ≤ 32.

    Attributes
    ----------
    positive_counts : int64 (B, L, I), tokens on which the neuron's activation is > 0.
    sums : float64 (B, L, I), sum of the activation over the tokens.
    token_counts : int64 (B,), tokens counted; the BOS token and padding are not.
    """

    positive_counts: np.ndarray
    sums: np.ndarray
    token_counts: np.ndarray

    def __post_init__(self) -> None:
        blocks, *neurons = self.positive_counts.shape
        if self.sums.shape != (blocks, *neurons) or self.token_counts.shape != (blocks,):
            raise ValueError("positive_counts, sums and token_counts do not fit together")

    @property
    def blocks(self) -> int:
        """B."""
        return len(self.token_counts)

    @property
    def tokens(self) -> int:
        """Tokens counted in all blocks."""
        return int(self.token_counts.sum())

    @property
    def activation_probability(self) -> np.ndarray:
        """(L, I), share of the tokens on which the activation is > 0."""
        return self.positive_counts.sum(0) / max(self.tokens, 1)

    @property
    def mean_activation(self) -> np.ndarray:
        """(L, I), mean activation over the tokens."""
        return self.sums.sum(0) / max(self.tokens, 1)

    def __add__(self, other: ActivationStats) -> ActivationStats:
        """Statistics of both texts: the blocks of one after the blocks of the other."""
        joined = ActivationStats(
            np.concatenate([self.positive_counts, other.positive_counts]),
            np.concatenate([self.sums, other.sums]),
            np.concatenate([self.token_counts, other.token_counts]),
        )
        return joined if joined.blocks <= MAX_BLOCKS else joined.fold(MAX_BLOCKS)

    def fold(self, blocks: int) -> ActivationStats:
        """The same totals in fewer blocks: block b is added to block b modulo ``blocks``.

        An even number keeps odd and even blocks apart.
        """
        if blocks < 1:
            raise ValueError("at least one block must remain")
        return ActivationStats(
            *(
                np.stack(
                    [values[start::blocks].sum(0) for start in range(min(blocks, len(values)))]
                )
                for values in (self.positive_counts, self.sums, self.token_counts)
            )
        )

    def tensors(self) -> dict[str, np.ndarray]:
        """What the store keeps: the counts in the smallest unsigned type that holds them."""
        largest = int(self.positive_counts.max(initial=0))
        return {
            "positive_counts": self.positive_counts.astype(np.min_scalar_type(largest)),
            "sums": self.sums,
            "token_counts": self.token_counts,
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> ActivationStats:
        """The inverse of :meth:`tensors`."""
        return cls(
            tensors["positive_counts"].astype(np.int64),
            tensors["sums"].astype(np.float64),
            tensors["token_counts"].astype(np.int64),
        )


@dataclass(frozen=True)
class TokenBatch:
    """Pieces of text that go through the model together.

    Attributes
    ----------
    ids : (R, T) token ids, each row begun with BOS where the model has one, padded on the right.
    lengths : (R,) tokens of each row, BOS included.
    blocks : (R,) the block of text that each row belongs to.
    """

    ids: np.ndarray
    lengths: np.ndarray
    blocks: np.ndarray


def split_blocks(token_ids: Sequence[Sequence[int]], room: int) -> list[tuple[int, list[int]]]:
    """Cut each block of tokens into the fewest pieces of at most ``room`` tokens, of even length.

    Returns (block, tokens) in order.

    >>> split_blocks([[1, 2, 3, 4, 5], [6]], 3)
    [(0, [1, 2, 3]), (0, [4, 5]), (1, [6])]
    """
    pieces = []
    for block, ids in enumerate(token_ids):
        count = math.ceil(len(ids) / room)
        size = math.ceil(len(ids) / count) if count else 0
        pieces += [(block, list(ids[i * size : (i + 1) * size])) for i in range(count)]
    return pieces


def batches(
    token_ids: Sequence[Sequence[int]],
    *,
    bos: Sequence[int] = (),
    pad: int = 0,
    block_tokens: int = BLOCK_TOKENS,
    batch_tokens: int = CPU_BATCH_TOKENS,
) -> Iterator[TokenBatch]:
    """Rows of similar length, at most ``batch_tokens`` with padding to a batch (one row at least).

    Blocks of short pieces come first, and the pieces of a block stay together: little padding, and
    an interruption leaves few blocks half done.
    """
    if batch_tokens < 1 or block_tokens <= len(bos):
        raise InputError("A batch must hold at least one token besides the BOS token.")
    pieces = split_blocks(token_ids, block_tokens - len(bos))
    longest_of = {block: len(tokens) for block, tokens in reversed(pieces)}  # the first is longest
    pieces.sort(key=lambda piece: (longest_of[piece[0]], piece[0]))
    pending: list[tuple[int, list[int]]] = []
    for piece in pieces:
        longest = max(len(tokens) for _, tokens in [*pending, piece]) + len(bos)
        if pending and longest * (len(pending) + 1) > batch_tokens:
            yield _pad(pending, bos, pad)
            pending = []
        pending.append(piece)
    if pending:
        yield _pad(pending, bos, pad)


def _pad(pieces: Sequence[tuple[int, list[int]]], bos: Sequence[int], pad: int) -> TokenBatch:
    lengths = np.array([len(tokens) + len(bos) for _, tokens in pieces])
    ids = np.full((len(pieces), int(lengths.max())), pad, dtype=np.int64)
    for row, (_, tokens) in enumerate(pieces):
        ids[row, : lengths[row]] = [*bos, *tokens]
    return TokenBatch(ids, lengths, np.array([block for block, _ in pieces]))


@contextmanager
def recording(model: Model, receive: Callable[[int, torch.Tensor], None]) -> Iterator[None]:
    """While open, every layer's activation (tokens, width) of a forward pass goes to ``receive``.

    ``receive`` is called with the layer's number and the tensor, rows in the order of the input's
    positions. Forward passes of other threads on the same model are none of its business. Hooks are
    removed on the way out, whatever happens.
    """
    own = threading.get_ident()

    def heard(layer: int, output: torch.Tensor) -> None:
        if threading.get_ident() == own:
            receive(layer, output.detach().reshape(-1, output.shape[-1]))

    with ExitStack() as stack:
        for layer, module in enumerate(model.activations):
            handle = module.register_forward_hook(
                lambda _module, _inputs, output, layer=layer: heard(layer, output)
            )
            stack.callback(handle.remove)
        yield


def collect(
    model: Model,
    texts: Sequence[str],
    *,
    block_tokens: int = BLOCK_TOKENS,
    batch_tokens: int | None = None,
    skip: frozenset[int] = frozenset(),
    on_block: Callable[[int, ActivationStats], None] | None = None,
    progress: Advances | None = None,
) -> ActivationStats:
    """Activation statistics of a text, block by block; the output head is never computed.

    Parameters
    ----------
    model : a loaded model.
    texts : the blocks, 1 to 32 of them.
    block_tokens : longest input in tokens, BOS included; never more than the model's context.
    batch_tokens : tokens of a batch, padding included; by default as the device likes it.
    skip : blocks that are done already; their rows of the result stay zero.
    on_block : called with a block's number and its statistics (B = 1) as soon as it is whole.
    progress : advanced by the tokens of each batch; may raise ``Cancelled``.

    Returns
    -------
    ActivationStats with one block a text.

    Raises
    ------
    InputError
        No text, more than 32 blocks, or not one token in all of them.
    """
    import torch

    token_ids = [[] if i in skip else model.encode(text) for i, text in enumerate(texts)]
    _check(texts, token_ids, skip)
    accumulator = _Accumulator(model, len(texts))
    if batch_tokens is None:
        on_cpu = model.device.type == "cpu"
        batch_tokens = CPU_BATCH_TOKENS if on_cpu else ACCELERATOR_BATCH_TOKENS
    room = min(block_tokens, model.context)
    pieces = [block for block, _ in split_blocks(token_ids, room - len(model.bos))]
    remaining = np.bincount(pieces, minlength=len(texts))

    def hand_over(blocks: Iterable[int]) -> None:
        for block in blocks:
            if on_block is not None and block not in skip and remaining[block] == 0:
                on_block(block, accumulator.block(block))

    hand_over(np.flatnonzero(remaining == 0).tolist())
    with torch.inference_mode(), recording(model, accumulator.receive):
        for batch in batches(
            token_ids,
            bos=model.bos,
            pad=model.tokenizer.pad_token_id or 0,
            block_tokens=room,
            batch_tokens=batch_tokens,
        ):
            accumulator.expect(batch, skipped=len(model.bos))
            run_body(model, batch)
            np.subtract.at(remaining, batch.blocks, 1)
            hand_over(np.unique(batch.blocks).tolist())
            if progress is not None:
                progress.advance(float(batch.lengths.sum() - len(batch.lengths) * len(model.bos)))
    return accumulator.result()


def run_body(model: Model, batch: TokenBatch) -> torch.Tensor:
    """Forward pass without the output head: last hidden states (R, T, hidden)."""
    import torch

    ids = torch.from_numpy(batch.ids).to(model.device)
    lengths = torch.from_numpy(batch.lengths).to(model.device)
    mask = (torch.arange(ids.shape[1], device=model.device)[None] < lengths[:, None]).long()
    return model.body(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state


def _check(texts: Sequence[str], token_ids: Sequence[Sequence[int]], skip: frozenset[int]) -> None:
    if not texts:
        raise InputError("There is no text to collect statistics from.")
    if len(texts) > MAX_BLOCKS:
        raise InputError(f"A text may have at most {MAX_BLOCKS} blocks, not {len(texts)}.")
    if not any(token_ids) and not skip:
        raise InputError("The text is empty: the model's tokenizer finds no token in it.")


class _Accumulator:
    """Running counts and sums on the model's device, one row a block."""

    def __init__(self, model: Model, blocks: int) -> None:
        import torch

        shape = (blocks, model.layers, model.width)
        self.device = model.device
        self.counts = torch.zeros(shape, dtype=torch.int64, device=self.device)
        self.sums = torch.zeros(shape, dtype=torch.float64, device=self.device)
        self.tokens = np.zeros(blocks, dtype=np.int64)

    def expect(self, batch: TokenBatch, skipped: int) -> None:
        """Prepare for a forward pass: which position counts for which block."""
        import torch

        counted = batch.lengths - skipped
        np.add.at(self.tokens, batch.blocks, counted)
        self.present = np.unique(batch.blocks)
        rows, width = batch.ids.shape
        weights = np.zeros((len(self.present), rows, width), dtype=np.float32)
        for row, block in enumerate(batch.blocks):
            place = int(np.searchsorted(self.present, block))
            weights[place, row, skipped : batch.lengths[row]] = 1.0
        self.weights = torch.from_numpy(weights.reshape(len(self.present), -1)).to(self.device)
        self.index = torch.from_numpy(self.present).to(self.device)

    def receive(self, layer: int, activation: torch.Tensor) -> None:
        """Add one layer's activations (tokens, width); a product with 0/1 weights sums by block."""
        values = activation.float()
        positive = self.weights @ (values > 0).to(values.dtype)  # exact: far below 2**24
        self.counts[self.index, layer] += positive.long()
        self.sums[self.index, layer] += (self.weights @ values).double()

    def block(self, block: int) -> ActivationStats:
        """Statistics of one finished block."""
        return ActivationStats(
            self.counts[block : block + 1].cpu().numpy(),
            self.sums[block : block + 1].cpu().numpy(),
            self.tokens[block : block + 1].copy(),
        )

    def result(self) -> ActivationStats:
        """Statistics of all blocks."""
        return ActivationStats(self.counts.cpu().numpy(), self.sums.cpu().numpy(), self.tokens)
