"""How alike a model's insides are on parallel text: neuron states and hidden states.

A parallel unit is a block of a corpus (an article of the Declaration, a run of lines), taken whole.
Its representation in a layer is either the state of the neurons, a neuron being active where its
mean activation over the block's tokens is > 0 (after NeuronXA, arXiv 2507.14900), or the mean over
the tokens of the hidden state that the layer passes on (MEXA, arXiv 2410.05873).

Both are read by one rule, MEXA's: a block is aligned if its parallel block is more similar to it
than any other block of the other language, and the other way round. So they are mutual nearest
neighbours, and a tie is no alignment. States are compared by Jaccard (neurons active in both, among
those active in either), hidden states by cosine. Of B blocks paired at random, at most a share of
1/B is aligned on average: that is the level of chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .activations import (
    ACCELERATOR_BATCH_TOKENS,
    BLOCK_TOKENS,
    CPU_BATCH_TOKENS,
    ActivationStats,
    TokenBatch,
    batches,
    recording,
)
from .collection import Collection, stored_statistics
from .corpora import Text
from .errors import InputError
from .keeping import Piece, keep_once
from .neurons import layer_band, require_known
from .progress import Advances, Progress, Snapshot
from .store import Store

if TYPE_CHECKING:
    import torch

    from .models import Model

STATES = "states"
NEURON_STATES = "neuron-states"
"""Kind of entry that ships beside statistics whose blocks were folded."""
MEASURES = ("states", "hidden")


@dataclass(frozen=True)
class SentenceStates:
    """What a model makes of B blocks of one language.

    Attributes
    ----------
    active : uint8 (B, L, ceil(I/8)), one bit a neuron (`numpy.packbits`): its mean activation over
        the block's tokens, BOS left out, is > 0.
    hidden : float32 (B, L, H), mean over the same tokens of the hidden state after each layer, the
        last one after the final norm; None where only the neurons are known.
    token_counts : int64 (B,), tokens of each block; 0 for one that the language lacks.
    """

    active: np.ndarray
    hidden: np.ndarray | None
    token_counts: np.ndarray

    @classmethod
    def of(cls, stats: ActivationStats) -> SentenceStates:
        """The neurons' states alone, from statistics: a mean is > 0 where its sum is."""
        return cls(np.packbits(stats.sums > 0, axis=2), None, stats.token_counts)

    @property
    def layers(self) -> int:
        """L."""
        return int(self.active.shape[1])

    def tensors(self) -> dict[str, np.ndarray]:
        """What the store keeps."""
        kept = {"active": self.active, "token_counts": self.token_counts}
        return kept if self.hidden is None else {**kept, "hidden": self.hidden}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> SentenceStates:
        """The inverse of :meth:`tensors`."""
        return cls(tensors["active"], tensors.get("hidden"), tensors["token_counts"])


# ---- Recording ---------------------------------------------------------------------------------


def record_states(
    model: Model,
    texts: Sequence[str],
    *,
    block_tokens: int = BLOCK_TOKENS,
    batch_tokens: int | None = None,
    progress: Advances | None = None,
) -> SentenceStates:
    """Record neuron states and hidden states of the blocks of a text in one pass.

    Nothing is cut off: a block longer than ``block_tokens`` goes through the model in pieces, as it
    does for activation statistics, and the means are over all of them.

    Parameters
    ----------
    model : a loaded model.
    texts : the blocks; empty ones keep their places.
    block_tokens : longest input in tokens, BOS included; never more than the model's context.
    batch_tokens : tokens of a batch, padding included; by default as the device likes it.
    progress : advanced by the tokens of each batch; may raise ``Cancelled``.

    Raises
    ------
    InputError
        No text, not one token in all of it, or layers whose hidden states differ in width.
    """
    import torch

    token_ids = [model.encode(text) for text in texts]
    if not any(token_ids):
        raise InputError("The text is empty: the model's tokenizer finds no token in it.")
    if batch_tokens is None:
        on_cpu = model.device.type == "cpu"
        batch_tokens = CPU_BATCH_TOKENS if on_cpu else ACCELERATOR_BATCH_TOKENS
    sums = _Sums(model, len(texts))
    with torch.inference_mode(), recording(model, sums.add_activations):
        for batch in batches(
            token_ids,
            bos=model.bos,
            pad=model.tokenizer.pad_token_id or 0,
            block_tokens=min(block_tokens, model.context),
            batch_tokens=batch_tokens,
        ):
            sums.run(batch)
            if progress is not None:
                progress.advance(float(batch.lengths.sum() - len(batch.lengths) * len(model.bos)))
    return sums.states(np.array([len(ids) for ids in token_ids]))


class _Sums:
    """Running sums of activations and hidden states, one row a block, on the model's device."""

    def __init__(self, model: Model, blocks: int) -> None:
        import torch

        def zeros(width: int) -> torch.Tensor:
            shape = (blocks, model.layers, width)
            return torch.zeros(shape, dtype=torch.float64, device=model.device)

        self.model = model
        self.activations = zeros(model.width)
        self.hidden = zeros(model.network.config.get_text_config().hidden_size)

    def run(self, batch: TokenBatch) -> None:
        """Add a batch to the sums; the output head is never computed."""
        import torch

        place = self.model.device
        ids = torch.from_numpy(batch.ids).to(place)
        self.blocks = torch.from_numpy(batch.blocks).to(place)
        positions = torch.arange(ids.shape[1], device=place)[None]
        mask = positions < torch.from_numpy(batch.lengths).to(place)[:, None]
        self.counted = (mask & (positions >= len(self.model.bos))).float()[:, None]
        states = self.model.body(
            input_ids=ids, attention_mask=mask.long(), use_cache=False, output_hidden_states=True
        ).hidden_states[1:]
        if {state.shape[-1] for state in states} != {self.hidden.shape[2]}:
            raise InputError(
                "The hidden states of this model's layers differ in width: they cannot be compared "
                "layer by layer."
            )
        for layer, state in enumerate(states):
            self._add(self.hidden, layer, state)

    def add_activations(self, layer: int, activation: torch.Tensor) -> None:
        """One layer's activations (tokens, width) of the batch that is running."""
        self._add(self.activations, layer, activation)

    def _add(self, sums: torch.Tensor, layer: int, values: torch.Tensor) -> None:
        rows = self.counted @ values.float().reshape(len(self.blocks), -1, values.shape[-1])
        sums[:, layer].index_add_(0, self.blocks, rows[:, 0].double())

    def states(self, token_counts: np.ndarray) -> SentenceStates:
        means = self.hidden.cpu().numpy() / np.maximum(token_counts, 1)[:, None, None]
        active = np.packbits(self.activations.cpu().numpy() > 0, axis=2)
        return SentenceStates(active, means.astype(np.float32), token_counts)


def stored_states(
    store: Store, collection: Collection, codes: Iterable[str]
) -> dict[str, SentenceStates]:
    """Recorded states of those languages that the store has, in the order asked."""
    found = {}
    for code in codes:
        entry = store.load(STATES, collection.key(STATES, collection.corpus.text(code)))
        if entry is not None:
            found[code] = SentenceStates.from_tensors(entry.tensors)
    return found


def neuron_states(
    store: Store, collection: Collection, codes: Iterable[str]
) -> dict[str, SentenceStates]:
    """Neuron states, without hidden ones, of those languages that have stored statistics.

    Needs no model. ``InputError`` for a corpus that is not parallel.
    """
    _require_parallel(collection)
    found = {}
    for code in codes:
        key = collection.key(NEURON_STATES, collection.corpus.text(code))
        entry = store.load(NEURON_STATES, key)
        if entry is not None:
            found[code] = SentenceStates.from_tensors(entry.tensors)
            continue
        for stats in stored_statistics(store, collection, [code]).values():
            found[code] = SentenceStates.of(stats)
    return found


def collect_states(
    store: Store,
    model: Model,
    collection: Collection,
    codes: Sequence[str],
    *,
    report: Callable[[Snapshot], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> None:
    """Record the states of languages into the store; what is stored already is left as it is.

    Every finished language is kept at once: an interrupted run goes on with the next one.

    Raises
    ------
    InputError
        The corpus is not parallel, a language has no text, a full disk.
    Cancelled
        ``cancelled`` answered True; what was finished is kept.
    """
    _require_parallel(collection)
    texts = [collection.corpus.text(code) for code in codes]
    todo = [text for text in texts if not store.has(STATES, collection.key(STATES, text))]
    sizes = [sum(len(model.encode(block)) for block in text.blocks) for text in todo]
    progress = Progress(sum(sizes), report, cancelled)
    for text, size in zip(todo, sizes, strict=True):
        work = partial(_recorded, model, collection, text, progress)
        what, key = f"states of {text.language}", collection.key(STATES, text)
        keep_once(store, STATES, key, work, progress, float(size), what)


def _recorded(model: Model, collection: Collection, text: Text, progress: Progress) -> Piece:
    states = record_states(
        model, text.blocks, block_tokens=collection.block_tokens, progress=progress
    )
    manifest = collection.manifest(text, device=str(model.device), blocks=len(text.blocks))
    return states.tensors(), manifest


def _require_parallel(collection: Collection) -> None:
    if not collection.corpus.parallel:
        raise InputError(
            f"Alignment compares texts that say the same, but {collection.corpus.title} is not "
            "parallel: choose a parallel corpus."
        )


# ---- Alignment ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class AlignmentMatrix:
    """Alignment of every two of K languages, 0 to 1, symmetric, 1 on the diagonal.

    NaN where two languages have fewer than two blocks in common.

    Attributes
    ----------
    languages : K FLORES codes.
    values : float64 (l, K, K), for each of the l layers.
    pooled : float64 (K, K), the layers together: for ``states`` one state of all their neurons, for
        ``hidden`` the mean of the layers' values (MEXA's mean pooling).
    blocks : int64 (K, K), blocks that both languages have.
    measure : ``states`` or ``hidden``.
    layers : the l layers.
    """

    languages: tuple[str, ...]
    values: np.ndarray
    pooled: np.ndarray
    blocks: np.ndarray
    measure: str
    layers: range

    @property
    def chance(self) -> np.ndarray:
        """(K, K) the level of chance, 1 / blocks."""
        return 1 / np.maximum(self.blocks, 1)

    def to_frame(self, layer: int | None = None) -> pd.DataFrame:
        """The values of a layer, or pooled; rows and columns named by FLORES code."""
        if layer is None:
            values = self.pooled
        elif layer in self.layers:
            values = self.values[self.layers.index(layer)]
        else:
            raise InputError(
                f"Layer {layer} is not among the layers {self.layers.start} to "
                f"{self.layers.stop - 1} of this alignment."
            )
        return pd.DataFrame(values, index=self.languages, columns=self.languages)


def state_alignment(
    a: SentenceStates, b: SentenceStates, layers: Sequence[int] | None = None
) -> np.ndarray:
    """Share of the blocks that are aligned by neuron states, in each of the layers (default all).

    NaN throughout for fewer than two blocks in common; ``InputError`` for states that cannot be
    compared (different numbers of blocks, layers or neurons).
    """
    return _align({"a": a, "b": b}, "states", layers)[0][:, 0, 1]


def hidden_alignment(
    a: SentenceStates, b: SentenceStates, layers: Sequence[int] | None = None
) -> np.ndarray:
    """Share of the blocks that are aligned by hidden states; otherwise as `state_alignment`."""
    return _align({"a": a, "b": b}, "hidden", layers)[0][:, 0, 1]


def alignment_matrix(
    states: Mapping[str, SentenceStates],
    measure: str = "states",
    band: tuple[float, float] = (0.0, 1.0),
) -> AlignmentMatrix:
    """Alignment of every two languages, by layer and for the layers of the band together.

    Parameters
    ----------
    states : by FLORES code, all of one model and one parallel corpus, at least two.
    measure : ``states`` or ``hidden``.
    band : the layers, as fractions of the depth.

    Raises
    ------
    InputError
        Fewer than two languages, states that cannot be compared, an unknown measure, a band out of
        range, or no hidden states for ``hidden``.
    """
    require_known(measure, MEASURES, "measure")
    if len(states) < 2:
        raise InputError("Alignment compares languages: choose at least two.")
    layers = layer_band(next(iter(states.values())).layers, band)
    values, pooled = _align(states, measure, layers)
    present = _present(states).astype(np.int64)
    return AlignmentMatrix(tuple(states), values, pooled, present @ present.T, measure, layers)


def _align(
    states: Mapping[str, SentenceStates], measure: str, layers: Sequence[int] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Alignments (l, K, K) by layer and (K, K) pooled."""
    _check(states, measure)
    every = list(states.values())
    present, number = _present(states), len(every)
    chosen = range(every[0].layers) if layers is None else layers
    values, pooled = np.ones((len(chosen), number, number)), np.ones((number, number))
    # Of all layers together: neurons active in both of two blocks, and in each.
    shared: list[np.ndarray] = [np.zeros(1, dtype=np.float32)] * number
    sizes = np.zeros(present.shape, dtype=np.float32)

    def fill(matrix: np.ndarray, k: int, similarity: np.ndarray) -> None:
        both = present[k][:, None] & present[k + 1 :].T
        matrix[k, k + 1 :] = matrix[k + 1 :, k] = _aligned_shares(similarity, both)

    for place, layer in enumerate(chosen):
        rows = np.stack([_rows(each, measure, layer) for each in every])
        active = rows.sum(2)
        sizes += active
        for k in range(number - 1):
            products = np.tensordot(rows[k], rows[k + 1 :], axes=(1, 2))
            if measure == "states":
                shared[k] = shared[k] + products
                products = _jaccard(products, active, k)
            fill(values[place], k, products)
    if measure == "hidden":
        return values, values.mean(0)
    for k in range(number - 1):
        fill(pooled, k, _jaccard(shared[k], sizes, k))
    return values, pooled


def _check(states: Mapping[str, SentenceStates], measure: str) -> None:
    (first, one), *others = states.items()
    for code, other in others:
        if other.active.shape != one.active.shape:
            raise InputError(
                f"The states of {first} and {code} differ in their numbers of blocks, layers or "
                "neurons: alignment needs one model and text that is parallel block by block."
            )
    lacking = [code for code, each in states.items() if each.hidden is None]
    if measure == "hidden" and lacking:
        raise InputError(
            f"No hidden states are recorded for {', '.join(lacking)}: record them, or compare "
            "neuron states."
        )


def _present(states: Mapping[str, SentenceStates]) -> np.ndarray:
    """bool (K, B): blocks with any token."""
    return np.stack([each.token_counts > 0 for each in states.values()])


def _rows(states: SentenceStates, measure: str, layer: int) -> np.ndarray:
    """float32 (B, D): neuron states as 0 and 1, or hidden states of length 1."""
    if measure == "states" or states.hidden is None:
        return np.unpackbits(states.active[:, layer], axis=1).astype(np.float32)
    rows = states.hidden[:, layer]
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def _jaccard(shared: np.ndarray, active: np.ndarray, k: int) -> np.ndarray:
    """(B, M, B) from what language k shares with the M languages after it, and sizes (K, B)."""
    union = active[k][:, None, None] + active[None, k + 1 :] - shared
    return shared / np.where(union > 0, union, 1)


def _aligned_shares(similarity: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Share (M,) of a language's blocks that are aligned with each of M others.

    similarity (B, M, B) is of block b with block c of language m; both (B, M) says which blocks a
    pair of languages has.
    """
    block = np.arange(len(similarity))
    others = np.where(both[:, :, None] & both.T[None], similarity, -np.inf)
    own = others[block, :, block]
    others[block, :, block] = -np.inf
    nearest = np.maximum(others.max(2), others.max(0).T)
    count = both.sum(0)
    return np.where(count > 1, (own > nearest).sum(0) / np.maximum(count, 1), np.nan)
