"""Activation statistics → which neurons belong to one language, to some, to all, or to none.

Three methods answer alike, so that they can be compared: LAPE (arXiv 2402.16438), the sharing of
parallel inputs (arXiv 2406.09265), and membership in the languages' neuron sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
import pandas as pd
from scipy.special import xlogy

from .activations import ActivationStats
from .errors import InputError
from .neurons import ActivationTable, NeuronSets, set_size

SPECIFIC, RELATED, AGNOSTIC, INACTIVE = range(4)
CLASSES = ("specific", "related", "agnostic", "inactive")
SHARING_NAMES = ("specific", "partial-shared", "all-shared", "non-activated")
# Sums of logarithms differ in the last digits with the order of summation; ties must not.
_ENTROPY_DECIMALS = 12


@dataclass(frozen=True)
class LanguageNeurons:
    """The language neurons that LAPE finds.

    Attributes
    ----------
    languages : K FLORES codes.
    masks : bool (K, L, I), True where a selected neuron belongs to the language; a neuron may
        belong to several.
    selected : bool (L, I), the neurons of lowest entropy.
    entropy : float64 (L, I), in nats; infinite for the neurons that the filter drops.
    filter, bar : activation probabilities that a neuron has to exceed in some language to be kept,
        and in a language to belong to it.
    """

    languages: tuple[str, ...]
    masks: np.ndarray
    selected: np.ndarray
    entropy: np.ndarray
    filter: float
    bar: float

    @property
    def sets(self) -> NeuronSets:
        """The same as neuron sets, which can overlap, be exported and be intervened on."""
        nothing = np.zeros(len(self.languages), dtype=np.int64)
        return NeuronSets(self.languages, self.masks, nothing, nothing)


def lape(
    table: ActivationTable,
    *,
    top_share: float = 0.01,
    filter_percentile: float = 0.95,
    bar_percentile: float = 0.95,
) -> LanguageNeurons:
    """Language neurons by language activation probability entropy (arXiv 2402.16438).

    The activation probabilities p of a neuron are divided by their sum over the languages; the
    entropy of these shares is low for a neuron that few languages use. Neurons whose p exceeds the
    filter in no language are dropped; round(top_share·L·I) of lowest entropy are selected, so the
    share is of all neurons, not of those left; a selected neuron belongs to each language whose p
    exceeds the bar. A percentile q of the N = K·L·I values p is the round(q·N)-th smallest.

    Entropies that agree in 12 decimals tie, and the earlier neuron (by layer, then index) goes
    first. Where fewer neurons pass the filter than asked for, all of them are selected.

    Parameters
    ----------
    table : statistics of at least two languages.
    top_share : share of all neurons to select, up to 0.5.
    filter_percentile, bar_percentile : in 0 to 1.

    Raises
    ------
    InputError
        One language, a share or a percentile out of range, or no neuron that passes the filter.
    """
    _require_two(table.languages, "LAPE compares languages")
    probability = table.probability
    threshold, bar = (
        _percentile(probability, share) for share in (filter_percentile, bar_percentile)
    )
    entropy = _entropy(probability)
    entropy[probability.max(0) <= threshold] = np.inf
    selected = _lowest(entropy, set_size(entropy.size, top_share))
    if not selected.any():
        raise InputError(
            f"No neuron's activation probability exceeds {threshold:.3g}, the percentile "
            f"{filter_percentile:g} of all: take a lower filter percentile."
        )
    masks = np.zeros(probability.shape, dtype=bool)
    masks[:, selected] = probability[:, selected] > bar
    return LanguageNeurons(table.languages, masks, selected, entropy, threshold, bar)


def _percentile(values: np.ndarray, share: float) -> float:
    rank = round(share * values.size) if 0 < share <= 1 else 0
    if rank < 1:
        raise InputError(
            f"The percentile {share:g} is no share of the activation probabilities between 0 and "
            "1; the paper's is 0.95."
        )
    return float(np.partition(values, rank - 1, axis=None)[rank - 1])


def _entropy(probability: np.ndarray) -> np.ndarray:
    """(L, I) entropy over the K languages: log Σp − Σ p log p / Σp, and 0 where all p are 0."""
    total = probability.sum(0)
    safe = np.where(total > 0, total, 1.0)
    return np.round(np.log(safe) - xlogy(probability, probability).sum(0) / safe, _ENTROPY_DECIMALS)


def _lowest(values: np.ndarray, wanted: int) -> np.ndarray:
    """Mask of the lowest finite values, at most ``wanted``, the earlier first where they tie."""
    flat = values.ravel()
    wanted = min(wanted, int(np.isfinite(flat).sum()))
    mask = np.zeros(flat.shape, dtype=bool)
    if wanted:
        threshold = np.partition(flat, wanted - 1)[wanted - 1]
        mask[flat < threshold] = True
        mask[np.flatnonzero(flat == threshold)[: wanted - int(mask.sum())]] = True
    return mask.reshape(values.shape)


@dataclass(frozen=True)
class Classes:
    """A class for every neuron.

    Attributes
    ----------
    method : ``lape``, ``sharing`` or ``membership``.
    languages : K FLORES codes.
    labels : int8 (L, I), 0 specific to one language, 1 related to several but not all, 2 agnostic,
        3 inactive.
    names : the four classes as the method calls them, by label.
    masks : bool (K, L, I), the languages of each neuron.
    tally : int64 (4, L, I), on how many inputs the neuron was in each class; None where the method
        does not look at single inputs.
    """

    method: str
    languages: tuple[str, ...]
    labels: np.ndarray
    names: tuple[str, ...]
    masks: np.ndarray
    tally: np.ndarray | None = None

    def by_layer(self) -> pd.DataFrame:
        """Neurons of each class (columns) in each layer (rows)."""
        counts = np.stack([(self.labels == label).sum(1) for label in range(4)], axis=1)
        layers = pd.RangeIndex(len(counts), name="layer")
        return pd.DataFrame(counts, index=layers, columns=list(self.names))

    def to_frame(self) -> pd.DataFrame:
        """A row a neuron: ``layer``, ``neuron``, ``class``, ``languages`` (codes and spaces)."""
        layers, width = self.labels.shape
        patterns, which, _ = _patterns(self.masks.reshape(len(self.languages), -1))
        words = [" ".join(codes) for codes in _codes(patterns, self.languages)]
        return pd.DataFrame(
            {
                "layer": np.repeat(np.arange(layers), width),
                "neuron": np.tile(np.arange(width), layers),
                "class": pd.Categorical.from_codes(self.labels.ravel(), list(self.names)),
                "languages": np.array(words, dtype=object)[which],
            }
        )


def classes_by_lape(neurons: LanguageNeurons) -> Classes:
    """LAPE's neurons, classed by how many languages they belong to (after arXiv 2505.21505).

    Specific: one language; related: several but not all; agnostic: all of them, and the neurons
    that pass LAPE's filter without being selected, since they are active and their activity tells
    the languages apart least; inactive: those that the filter drops.
    """
    labels = _by_membership(neurons.masks)
    labels[(labels == INACTIVE) & np.isfinite(neurons.entropy)] = AGNOSTIC
    return Classes("lape", neurons.languages, labels, CLASSES, neurons.masks)


def classes_by_sets(sets: NeuronSets) -> Classes:
    """Classes by membership: in the set of one language, of several, of all, or of none.

    Raises
    ------
    InputError
        Fewer than two languages.
    """
    _require_two(sets.languages, "Classes tell languages apart")
    return Classes("membership", sets.languages, _by_membership(sets.masks), CLASSES, sets.masks)


def classes_by_sharing(
    stats: Mapping[str, ActivationStats], *, active_share: float = 0.5
) -> Classes:
    """Classes by sharing over parallel inputs, after Sharing Matters (arXiv 2406.09265).

    An input is a block of the text, the same one in every language. There a neuron is active in a
    language when its activation is > 0 on more than ``active_share`` of the block's tokens, and is
    all-shared, partial-shared, specific or non-activated when it is active in all, several, one or
    none of the languages. Its class is the one it has on most inputs, the first of the names where
    they tie; ``tally`` keeps the counts. Its languages are those in which it is active on more than
    half of the inputs. A block that has no token in some language is left out.

    Raises
    ------
    InputError
        Fewer than two languages, a share outside 0 to 1, or blocks that are not parallel.
    """
    _require_two(list(stats), "Sharing compares languages")
    if not 0 <= active_share < 1:
        raise InputError(f"The active share {active_share:g} is no share of tokens: 0 to below 1.")
    if len({s.positive_counts.shape for s in stats.values()}) > 1:
        raise InputError(
            "Sharing compares the same inputs in every language, but these statistics differ in "
            "their blocks: collect them on one parallel corpus."
        )
    counts = [s.positive_counts for s in stats.values()]
    tokens = np.stack([s.token_counts for s in stats.values()])
    common = np.flatnonzero((tokens > 0).all(0))
    if not len(common):
        raise InputError("There is no block that has a token in every one of these languages.")
    tally = np.zeros((4, *counts[0].shape[1:]), dtype=np.int64)
    often = np.zeros((len(stats), *counts[0].shape[1:]), dtype=np.int64)
    for block in common:
        active = np.stack(
            [c[block] > active_share * n for c, n in zip(counts, tokens[:, block], strict=True)]
        )
        labels = _by_membership(active)
        for label in range(4):
            tally[label] += labels == label
        often += active
    return Classes(
        "sharing",
        tuple(stats),
        tally.argmax(0).astype(np.int8),
        SHARING_NAMES,
        2 * often > len(common),
        tally,
    )


def _by_membership(masks: np.ndarray) -> np.ndarray:
    """int8 (L, I) labels by how many of the K masks hold the neuron."""
    label_of_count = np.full(len(masks) + 1, RELATED, dtype=np.int8)
    label_of_count[[0, 1, -1]] = INACTIVE, SPECIFIC, AGNOSTIC
    return label_of_count[masks.sum(0)]


def agreement(a: Classes, b: Classes) -> pd.DataFrame:
    """How far two methods agree on each class.

    Returns a row a class with ``a``, ``b``, ``both`` (neurons) and ``jaccard``, \\|both\\| over
    \\|either\\|; NaN where neither method puts a neuron into the class.

    Raises
    ------
    InputError
        Classes of models of different shape.
    """
    if a.labels.shape != b.labels.shape:
        raise InputError(
            "Only classes of the same neurons can agree, but one model has "
            f"{' x '.join(map(str, a.labels.shape))} neurons and the other "
            f"{' x '.join(map(str, b.labels.shape))}."
        )
    table = np.zeros((4, 4), dtype=np.int64)
    np.add.at(table, (a.labels.ravel(), b.labels.ravel()), 1)
    of_a, of_b, both = table.sum(1), table.sum(0), np.diag(table)
    either = of_a + of_b - both
    jaccard = np.divide(both, either, out=np.full(4, np.nan), where=either > 0)
    columns = {"a": of_a, "b": of_b, "both": both, "jaccard": jaccard}
    return pd.DataFrame(columns, index=pd.Index(CLASSES, name="class"))


def intersections(
    masks: np.ndarray, languages: Sequence[str], *, at_most: int | None = None
) -> pd.DataFrame:
    """How many neurons lie in exactly these languages' sets and no other: an UpSet plot's bars.

    Parameters
    ----------
    masks : bool (K, …), the sets.
    languages : K FLORES codes.
    at_most : rows to keep; None for all that hold a neuron.

    Returns a row an intersection, largest first and, of equals, those of the earlier languages:
    ``languages`` (a tuple of codes), ``neurons``. Neurons in no set are not counted.

    >>> masks = np.array([[1, 1, 0, 0, 1], [1, 1, 1, 0, 0]], dtype=bool)
    >>> intersections(masks, ("deu_Latn", "spa_Latn")).values.tolist()
    [[('deu_Latn', 'spa_Latn'), 2], [('deu_Latn',), 1], [('spa_Latn',), 1]]
    """
    flat = np.asarray(masks, dtype=bool).reshape(len(languages), -1)
    patterns, _, counts = _patterns(flat[:, flat.any(0)])
    order = np.lexsort((-np.arange(len(counts)), -counts))[:at_most]
    columns = {"languages": _codes(patterns[order], languages), "neurons": counts[order]}
    return pd.DataFrame(columns)


def _patterns(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The different columns of (K, N) masks in ascending order: bool (P, K), which of them each
    column is, and how often each occurs.

    The K bits of a column are packed into 64-bit words, which compare fast.
    """
    rows, columns = masks.shape
    padded = np.zeros((-(-max(rows, 1) // 64) * 64, columns), dtype=bool)
    padded[:rows] = masks
    words = np.ascontiguousarray(np.packbits(padded, axis=0).T).view(">u8")
    which = np.zeros(columns, dtype=np.int64)
    for word in words.T:
        values, rank = np.unique(word, return_inverse=True)
        _, which = np.unique(which * len(values) + rank, return_inverse=True)
    _, first, counts = np.unique(which, return_index=True, return_counts=True)
    return masks[:, first].T, which, counts


def _codes(patterns: np.ndarray, languages: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(compress(languages, row)) for row in patterns]


def _require_two(languages: Sequence[str], what: str) -> None:
    if len(languages) < 2:
        raise InputError(f"{what}: choose at least two.")
