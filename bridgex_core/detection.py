"""The impact of every neuron, all neurons of a layer at once (Zhao et al., arXiv 2402.18815).

A feed-forward block adds up what its neurons write: f(x) = Σᵢ hᵢ·wᵢ (+ a bias), hᵢ being what the
down projection reads (the activation; in a gated block times the up projection) and wᵢ its i-th
column. Without neuron i the output is hᵢ·wᵢ away, so ‖f(x) − f(x without i)‖ = |hᵢ|·‖wᵢ‖ for all i
from one forward pass.

Each language's neurons of highest impact make a set, which is held against the set of its most
active neurons: do those that change what the model writes most agree with those that fire most?
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .activations import BLOCK_TOKENS, CPU_BATCH_TOKENS, batches, run_body
from .collection import Collection
from .corpora import Text
from .errors import InputError
from .keeping import Piece, keep_once
from .neurons import ActivationTable, NeuronSets, set_size, top_neurons
from .progress import Advances, Progress, Snapshot
from .store import Store

if TYPE_CHECKING:
    import torch
    from torch import nn

    from .models import Model

IMPACTS = "impacts"
BINS = 20
"""Of ranks: each holds 5 % of the neurons."""


# ---- Of a text ---------------------------------------------------------------------------------


def impacts(
    model: Model,
    texts: Sequence[str],
    *,
    block_tokens: int = BLOCK_TOKENS,
    progress: Advances | None = None,
) -> np.ndarray:
    """float64 (L, I): each neuron's impact on its block's output, averaged over a text's tokens.

    ‖f(x) − f(x without i)‖, Euclidean, before any norm that follows the block. The
    beginning-of-sequence token does not count.

    Parameters
    ----------
    model : a loaded model.
    texts : the blocks, cut into pieces.
    block_tokens : longest piece in tokens, BOS included; never more than the model's context.
    progress : advanced by the tokens of each batch.

    Raises
    ------
    InputError
        Not one token in the texts.
    """
    import torch

    token_ids = [model.encode(text) for text in texts]
    if not any(token_ids):
        raise InputError("The text is empty: the model's tokenizer finds no token in it.")
    sums = torch.zeros((model.layers, model.width), dtype=torch.float64, device=model.device)
    skipped, tokens = len(model.bos), 0
    weights = torch.empty(0)

    def receive(layer: int, states: torch.Tensor) -> None:
        sums[layer] += (weights @ states.abs().float()).double()

    with torch.inference_mode(), _reading(model, receive):
        for batch in batches(
            token_ids,
            bos=model.bos,
            pad=model.tokenizer.pad_token_id or 0,
            block_tokens=min(block_tokens, model.context),
            batch_tokens=CPU_BATCH_TOKENS,
        ):
            place = np.arange(batch.ids.shape[1])[None]
            counted = (place >= skipped) & (place < batch.lengths[:, None])
            weights = torch.from_numpy(counted.ravel().astype(np.float32)).to(model.device)
            run_body(model, batch)
            tokens += int(counted.sum())
            if progress is not None:
                progress.advance(float(counted.sum()))
    norms = torch.stack([_column_norms(down) for down in model.downs])
    return (sums * norms / tokens).cpu().numpy()


@contextmanager
def _reading(model: Model, receive: Callable[[int, torch.Tensor], None]) -> Iterator[None]:
    """While open, what every down projection reads, (tokens, width), goes to ``receive``."""
    thread = get_ident()

    def read(layer: int, _module: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        if get_ident() == thread:  # not another session's run of the same model
            receive(layer, inputs[0].detach().reshape(-1, inputs[0].shape[-1]))

    with ExitStack() as stack:
        for layer, down in enumerate(model.downs):
            stack.callback(down.register_forward_pre_hook(partial(read, layer)).remove)
        yield


def _column_norms(down: nn.Module) -> torch.Tensor:
    """float64 (I,): how long the vector is that each neuron writes."""
    weight: torch.Tensor = down.weight.detach().double()  # type: ignore[operator]
    transposed = hasattr(down, "nx")  # GPT-2's Conv1D keeps (I, hidden)
    return weight.norm(dim=1 if transposed else 0)


# ---- Of languages ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Impacts:
    """The impact of every neuron for K languages.

    Attributes
    ----------
    languages : K FLORES codes.
    values : float32 (K, L, I), as :func:`impacts` gives them.
    tokens : int64 (K,), tokens averaged over.
    """

    languages: tuple[str, ...]
    values: np.ndarray
    tokens: np.ndarray


def without_impacts(store: Store, collection: Collection, codes: Iterable[str]) -> tuple[str, ...]:
    """Those languages whose impacts are not stored yet."""
    corpus = collection.corpus
    return tuple(
        code for code in codes if not store.has(IMPACTS, collection.key(IMPACTS, corpus.text(code)))
    )


def stored_impacts(store: Store, collection: Collection, codes: Iterable[str]) -> Impacts:
    """Impacts of those languages that the store has, in the order asked.

    Raises
    ------
    InputError
        None of them is stored.
    """
    found = {}
    for code in codes:
        entry = store.load(IMPACTS, collection.key(IMPACTS, collection.corpus.text(code)))
        if entry is not None:
            found[code] = entry.tensors
    if not found:
        raise InputError("None of these languages has stored impacts: record them first.")
    return Impacts(
        tuple(found),
        np.stack([each["impacts"] for each in found.values()]),
        np.array([int(each["tokens"]) for each in found.values()]),
    )


def collect_impacts(
    store: Store,
    model: Model,
    collection: Collection,
    codes: Sequence[str],
    *,
    report: Callable[[Snapshot], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> None:
    """Record the impacts of languages into the store; what is stored already is left as it is.

    Every finished language is kept at once: an interrupted run goes on with the next one.

    Raises
    ------
    InputError
        A language without text, a text without tokens, a full disk.
    Cancelled
        ``cancelled`` answered True; what was finished is kept.
    """
    texts = [collection.corpus.text(code) for code in without_impacts(store, collection, codes)]
    sizes = [sum(len(model.encode(block)) for block in text.blocks) for text in texts]
    progress = Progress(sum(sizes), report, cancelled)
    for text, size in zip(texts, sizes, strict=True):
        work = partial(_recorded, model, collection, text, size, progress)
        what, key = f"impacts of {text.language}", collection.key(IMPACTS, text)
        keep_once(store, IMPACTS, key, work, progress, float(size), what)


def _recorded(
    model: Model, collection: Collection, text: Text, tokens: int, progress: Progress
) -> Piece:
    found = impacts(model, text.blocks, block_tokens=collection.block_tokens, progress=progress)
    tensors = {"impacts": found.astype(np.float32), "tokens": np.array(tokens)}
    return tensors, collection.manifest(text, device=str(model.device))


# ---- Sets --------------------------------------------------------------------------------------


def impact_sets(impacts: Impacts, top_rate: float = 0.01) -> NeuronSets:
    """Each language's neurons of highest impact, over all layers together.

    Exactly round(top_rate·L·I) of them, the earlier position first where impacts tie.

    Raises
    ------
    InputError
        A top rate out of range.
    """
    size = set_size(impacts.values[0].size, top_rate)
    masks = np.zeros(impacts.values.shape, dtype=bool)
    tied, tied_in = [], []
    for values, mask in zip(impacts.values, masks, strict=True):
        flat = values.ravel()
        threshold = np.partition(flat, -size)[-size]
        mask[:] = values > threshold
        at = np.flatnonzero(flat == threshold)
        missing = size - int(mask.sum())
        mask.ravel()[at[:missing]] = True
        tied.append(len(at))
        tied_in.append(missing)
    return NeuronSets(impacts.languages, masks, np.array(tied), np.array(tied_in))


def language_specific(sets: NeuronSets) -> pd.DataFrame:
    """How many neurons of each language's set are its own, and how many all languages share.

    Specific (after arXiv 2402.18815): of high impact for this language and for no other one.

    Returns
    -------
    DataFrame with a row a language and layer: ``language``, ``layer``, ``neurons`` (of the set),
    ``specific`` and ``shared`` (in every language's set).

    Raises
    ------
    InputError
        Fewer than two languages.
    """
    if len(sets.languages) < 2:
        raise InputError("Neurons are specific to one of several languages: choose at least two.")
    in_sets = sets.masks.sum(0)
    languages, layers = sets.masks.shape[:2]
    return pd.DataFrame(
        {
            "language": np.repeat(np.array(sets.languages, dtype=object), layers),
            "layer": np.tile(np.arange(layers), languages),
            "neurons": sets.masks.sum(2).ravel(),
            "specific": (sets.masks & (in_sets == 1)).sum(2).ravel(),
            "shared": (sets.masks & (in_sets == languages)).sum(2).ravel(),
        }
    )


# ---- Against activation probability ------------------------------------------------------------


def impact_agreement(impact: np.ndarray, probability: np.ndarray) -> pd.DataFrame:
    """Spearman's rank correlation of impact and activation probability, within each layer.

    Parameters
    ----------
    impact, probability : (L, I).

    Returns
    -------
    DataFrame with ``layer`` and ``spearman`` (nan where one of them is the same for all neurons).
    """
    from scipy.stats import rankdata

    _require_same(impact, probability)
    first, second = (rankdata(values, axis=1) for values in (impact, probability))
    first, second = (ranks - ranks.mean(1, keepdims=True) for ranks in (first, second))
    spread = np.sqrt((first**2).sum(1) * (second**2).sum(1))
    with np.errstate(invalid="ignore"):
        correlation = (first * second).sum(1) / spread
    return pd.DataFrame({"layer": np.arange(len(impact)), "spearman": correlation})


def rank_counts(impact: np.ndarray, probability: np.ndarray, bins: int = BINS) -> np.ndarray:
    """int64 (bins, bins): neurons by rank of impact (rows) and of activation probability (columns).

    Ranks are over all layers together, from the lowest; ties share their mean rank. If the one said
    nothing of the other, every cell would hold about as many.

    Parameters
    ----------
    impact, probability : (L, I).
    """
    from scipy.stats import rankdata

    _require_same(impact, probability)
    places = [
        ((rankdata(values, axis=None) - 0.5) * bins / values.size).astype(np.int64)
        for values in (impact, probability)
    ]
    return np.bincount(places[0] * bins + places[1], minlength=bins**2).reshape(bins, bins)


@dataclass(frozen=True)
class Detection:
    """The neurons of highest impact beside the most active ones, for K languages.

    Attributes
    ----------
    impact, active : the sets by impact and by activation probability, of the same languages.
    spearman : float64 (K, L), of impact and activation probability within each layer; nan where one
        of them is the same for all its neurons.
    """

    impact: NeuronSets
    active: NeuronSets
    spearman: np.ndarray

    @property
    def languages(self) -> tuple[str, ...]:
        """K FLORES codes."""
        return self.impact.languages

    @property
    def fullest_layer(self) -> tuple[int, float]:
        """The layer that most neurons of the sets by impact are in, and the share that are."""
        neurons = self.impact.masks.sum((0, 2))
        return int(neurons.argmax()), float(neurons.max() / neurons.sum())

    def by_layer(self) -> pd.DataFrame:
        """A row a language and layer.

        The columns of :func:`language_specific`, then ``active`` (neurons of the set of most active
        ones), ``both`` (in both sets) and ``spearman``.
        """
        return language_specific(self.impact).assign(
            active=self.active.masks.sum(2).ravel(),
            both=(self.impact.masks & self.active.masks).sum(2).ravel(),
            spearman=self.spearman.ravel(),
        )

    def to_frame(self) -> pd.DataFrame:
        """A row a language, the layers together.

        ``language``, ``neurons``, ``specific``, ``shared``, ``active``, ``both``, ``jaccard`` of
        the two sets, ``chance`` (of random sets of these sizes) and ``spearman``, the mean of the
        layers.
        """
        layers = self.by_layer().drop(columns="layer").groupby("language", sort=False)
        rows = layers.sum().assign(spearman=layers["spearman"].mean())
        together = rows["neurons"] + rows["active"]
        expected = rows["neurons"] * rows["active"] / self.impact.masks[0].size
        rows.insert(5, "jaccard", rows["both"] / (together - rows["both"]))
        rows.insert(6, "chance", expected / (together - expected))
        return rows.reset_index()

    def curve(self, language: str) -> pd.DataFrame:
        """Spearman's correlation by layer.

        Columns ``layer``, ``mean``, ``lowest`` and ``highest`` over the languages, and
        ``language``, that of the one named.
        """
        layers = self.by_layer().groupby("layer")["spearman"]
        found = layers.agg(mean="mean", lowest="min", highest="max")
        own = self.spearman[self.languages.index(language)]
        return found.assign(language=own).reset_index()


def detect(impacts: Impacts, table: ActivationTable, top_rate: float = 0.01) -> Detection:
    """Sets by impact and by activation probability, of one size, and how far the two agree.

    Raises
    ------
    InputError
        Impacts and statistics of different languages or models, a top rate out of range.
    """
    if impacts.languages != table.languages:
        raise InputError("Impacts and activation probabilities have to be of the same languages.")
    by_language = zip(impacts.values, table.probability, strict=True)
    spearman = np.stack([impact_agreement(*both)["spearman"] for both in by_language])
    sets = impact_sets(impacts, top_rate), top_neurons(table, top_rate=top_rate)
    return Detection(*sets, spearman)


def _require_same(impact: np.ndarray, probability: np.ndarray) -> None:
    if impact.shape != probability.shape:
        raise InputError(
            f"Impacts of {impact.shape} and probabilities of {probability.shape} layers and "
            "neurons are not of the same model."
        )
