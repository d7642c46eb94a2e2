"""Activation statistics → neuron sets.

Sets are boolean masks (K, L, I) over K languages, selected by partition, not by sorting, so the
cost grows linearly with the number of neurons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .activations import ActivationStats
from .errors import InputError

SELECTIONS = ("active", "distinctive")
TIES = ("break", "include")
MIN_TOP_RATE, MAX_TOP_RATE = 1e-5, 0.5


@dataclass(frozen=True)
class ActivationTable:
    """Totals of every neuron for K languages.

    Attributes
    ----------
    languages : K FLORES codes.
    counts : int64 (K, L, I), tokens on which the activation is > 0.
    means : float64 (K, L, I), mean activation over the tokens.
    tokens : int64 (K,), tokens counted.
    """

    languages: tuple[str, ...]
    counts: np.ndarray
    means: np.ndarray
    tokens: np.ndarray

    @classmethod
    def of(cls, stats: Mapping[str, ActivationStats]) -> ActivationTable:
        """Totals over all blocks of each language's statistics."""
        tokens = np.array([s.tokens for s in stats.values()], dtype=np.int64)
        empty = [code for code, count in zip(stats, tokens, strict=True) if count == 0]
        if empty:
            raise InputError(f"The statistics of {', '.join(empty)} count no token at all.")
        return cls(
            tuple(stats),
            np.stack([s.positive_counts.sum(0) for s in stats.values()]),
            np.stack([s.sums.sum(0) / s.tokens for s in stats.values()]),
            tokens,
        )

    @classmethod
    def halves(
        cls, stats: Mapping[str, ActivationStats]
    ) -> tuple[ActivationTable, ActivationTable]:
        """The same from the even-numbered and from the odd-numbered blocks alone."""
        single = [code for code, s in stats.items() if s.blocks < 2]
        if single:
            raise InputError(
                f"The text of {', '.join(single)} has one block only and cannot be halved."
            )
        even, odd = (
            {
                code: ActivationStats(
                    s.positive_counts[parity::2], s.sums[parity::2], s.token_counts[parity::2]
                )
                for code, s in stats.items()
            }
            for parity in (0, 1)
        )
        return cls.of(even), cls.of(odd)

    def statistics(self) -> dict[str, ActivationStats]:
        """Each language's totals as statistics of one block: the inverse of :meth:`of`."""
        sums = self.means * self.tokens[:, None, None]
        return {
            code: ActivationStats(self.counts[k : k + 1], sums[k : k + 1], self.tokens[k : k + 1])
            for k, code in enumerate(self.languages)
        }

    @property
    def probability(self) -> np.ndarray:
        """(K, L, I) activation probability."""
        return self.counts / self.tokens[:, None, None]

    @property
    def layers(self) -> int:
        """L."""
        return int(self.counts.shape[1])

    @property
    def width(self) -> int:
        """I."""
        return int(self.counts.shape[2])


def layer_band(layers: int, band: tuple[float, float] = (0.0, 1.0)) -> range:
    """Layers that start within a band given as fractions of the depth.

    Fractions, because models differ in depth: layer l of L starts at l/L, and is in the band
    low:high where low <= l/L < high. The paper's layers 10 to 21 of 32 are 0.31:0.66.

    Raises
    ------
    InputError
        Fractions outside 0 to 1 or in the wrong order, or a band that holds no layer.

    >>> layer_band(32, (0.31, 0.66)), layer_band(18, (0.31, 0.66)), layer_band(18)
    (range(10, 22), range(6, 12), range(0, 18))
    """
    low, high = band
    if not 0 <= low < high <= 1:
        raise InputError(
            f"The layer band {low:g}:{high:g} is not two different fractions of the depth in "
            "order, such as 0.3:0.7."
        )
    inside = [layer for layer in range(layers) if low <= layer / layers < high]
    if not inside:
        raise InputError(
            f"The layer band {low:g}:{high:g} holds no layer of a model with {layers}; "
            f"make it at least {1 / layers:.2f} wide."
        )
    return range(inside[0], inside[-1] + 1)


def set_size(neurons: int, top_rate: float) -> int:
    """round(top rate x neurons): how many neurons each language gets.

    Raises
    ------
    InputError
        A top rate that is no share of the neurons, or so small that no neuron is left.
    """
    if not 0 < top_rate <= MAX_TOP_RATE:
        raise InputError(
            f"The top rate {top_rate:g} is not a share of the neurons between 0 and "
            f"{MAX_TOP_RATE:g}; the paper's is 0.01, which is 1 %."
        )
    size = round(top_rate * neurons)
    if size < 1:
        raise InputError(
            f"A top rate of {top_rate:g} leaves no neuron out of {neurons:,}; "
            f"take at least {1 / neurons:.2g}."
        )
    return size


def distinctiveness(table: ActivationTable, rows: Sequence[int] | None = None) -> np.ndarray:
    """z-score (K, L, I) of each activation probability against the table's other languages.

    z[k] = (p[k] − mean of the others) / sqrt(variance of the others + p̃[k](1 − p̃[k])/n[k]), where
    p̃ = (count + ½)/(n + 1): the second term is the sampling error of p[k] itself, which keeps
    neurons that hardly ever fire from winning by chance.

    ``rows`` keeps the scores of those languages only, still against all others.

    Raises
    ------
    InputError
        Fewer than three languages: two say nothing of a spread.
    """
    languages = len(table.languages)
    if languages < 3:
        raise InputError(
            "The selection 'distinctive' compares each language with the others and needs at least "
            "three; add languages or take the selection 'active'."
        )
    kept = np.arange(languages) if rows is None else np.asarray(rows)
    every = table.probability
    p, n = every[kept], table.tokens[kept, None, None]
    mean = (every.sum(0) - p) / (languages - 1)
    squares = (np.square(every).sum(0) - np.square(p)) / (languages - 1)
    variance = np.maximum(squares - np.square(mean), 0.0)
    smooth = (table.counts[kept] + 0.5) / (n + 1)
    return (p - mean) / np.sqrt(variance + smooth * (1 - smooth) / n)


@dataclass(frozen=True)
class NeuronSets:
    """Each language's top neurons.

    Attributes
    ----------
    languages : K FLORES codes.
    masks : bool (K, L, I), True for the neurons of the language's set.
    tied : int (K,), neurons at the lowest score that was let in, in or out of the set.
    tied_in : int (K,), how many of those are in the set: chosen by the tie-break.
    """

    languages: tuple[str, ...]
    masks: np.ndarray
    tied: np.ndarray
    tied_in: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """(K,) neurons in each set."""
        return self.masks.sum((1, 2))


def top_neurons(
    table: ActivationTable,
    *,
    selection: str = "active",
    top_rate: float = 0.01,
    ties: str = "break",
    rows: Sequence[int] | None = None,
) -> NeuronSets:
    """The top neurons of each language, over all layers together.

    Parameters
    ----------
    selection : ``active`` (the paper): highest activation probability; ``distinctive``: highest
        :func:`distinctiveness`.
    top_rate : share of all L·I neurons, 0.01 in the paper.
    ties : ``break``: exactly round(top_rate·L·I) neurons, ties broken by mean activation, then by
        position; ``include``: every neuron that reaches the threshold (the released behaviour).
    rows : the sets of these languages only, as they are among all of the table; default all.

    Raises
    ------
    InputError
        An unknown selection or ties, a top rate out of range.
    """
    require_known(selection, SELECTIONS, "selection")
    require_known(ties, TIES, "ties")
    size = set_size(table.layers * table.width, top_rate)
    kept = list(range(len(table.languages)) if rows is None else rows)
    scores = table.counts[kept] if selection == "active" else distinctiveness(table, kept)
    masks = np.zeros(scores.shape, dtype=bool)
    tied, tied_in = [], []
    for score, means, mask in zip(scores, table.means[kept], masks, strict=True):
        flat = score.ravel()
        threshold = np.partition(flat, -size)[-size]
        above = flat > threshold
        at = np.flatnonzero(flat == threshold)
        missing = size - int(above.sum())
        chosen = at if ties == "include" else _break_ties(at, means.ravel(), missing)
        mask.ravel()[:] = above
        mask.ravel()[chosen] = True
        tied.append(len(at))
        tied_in.append(len(chosen))
    languages = tuple(table.languages[k] for k in kept)
    return NeuronSets(languages, masks, np.array(tied), np.array(tied_in))


def _break_ties(candidates: np.ndarray, means: np.ndarray, wanted: int) -> np.ndarray:
    """The ``wanted`` candidates of highest mean, the earlier position first where even that ties.

    Partition, not a sort: with saturated neurons almost all of them can be candidates.
    """
    values = means[candidates]
    threshold = np.partition(values, -wanted)[-wanted]
    above = candidates[values > threshold]
    at = candidates[values == threshold]
    return np.concatenate([above, at[: wanted - len(above)]])


def require_known(value: str, known: Sequence[str], what: str) -> None:
    if value not in known:
        raise InputError(f"The {what} '{value}' is unknown; choose one of {', '.join(known)}.")
