"""Neuron sets → the linguistic spectrum: which languages share neurons, and how sure that is.

Everything is a few matrix products over the sets' masks, linear in the number of neurons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from .activations import ActivationStats
from .errors import InputError
from .languages import Language
from .neurons import ActivationTable, NeuronSets, layer_band, require_known, top_neurons
from .similarity import ClusterTree, cluster, spearman, spearman_brown

METRICS = ("jaccard", "overlap", "count", "activation", "centred")
SET_METRICS = METRICS[:3]
"""Those that need the neuron sets alone."""
ORDERINGS = ("clustering", "family", "alphabet")
_TOO_FEW = "A spectrum compares languages: choose at least two."
RATES = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)


@dataclass(frozen=True)
class SpectrumSettings:
    """How a spectrum is read off activation statistics.

    Attributes
    ----------
    metric : one of :data:`METRICS`, see :func:`spectrum`.
    selection, top_rate, ties : see :func:`bridgex_core.neurons.top_neurons`.
    band : the layers compared, as fractions of the depth.
    """

    metric: str = "jaccard"
    selection: str = "active"
    top_rate: float = 0.01
    ties: str = "break"
    band: tuple[float, float] = (0.0, 1.0)


PAPER = SpectrumSettings()
DEFAULT = SpectrumSettings(metric="centred", selection="distinctive", top_rate=0.02)


@dataclass(frozen=True)
class OverlapMatrix:
    """A language × language similarity matrix read off neuron sets.

    Attributes
    ----------
    languages : K FLORES codes.
    values : float64 (K, K), the metric.
    shared : int64 (K, K), neurons in both sets, within the layers.
    sizes : int64 (K,), neurons in each set, within the layers.
    settings : how it was made.
    layers : the layers it covers.
    """

    languages: tuple[str, ...]
    values: np.ndarray
    shared: np.ndarray
    sizes: np.ndarray
    settings: SpectrumSettings
    layers: range

    def to_frame(self) -> pd.DataFrame:
        """The values, rows and columns named by FLORES code."""
        return pd.DataFrame(self.values, index=self.languages, columns=self.languages)

    def reorder(self, order: Sequence[int]) -> OverlapMatrix:
        """The same matrix with its languages in another order."""
        index = np.asarray(order)
        return replace(
            self,
            languages=tuple(self.languages[i] for i in index),
            values=self.values[np.ix_(index, index)],
            shared=self.shared[np.ix_(index, index)],
            sizes=self.sizes[index],
        )


def spectrum(
    table: ActivationTable,
    settings: SpectrumSettings = DEFAULT,
    *,
    rows: Sequence[int] | None = None,
) -> OverlapMatrix:
    """The linguistic spectrum: similarity of every two languages by the neurons they share.

    ``rows`` restricts the matrix to some languages of the table: the part of the whole matrix that
    is theirs, at their cost alone.

    The sets are selected over all layers together; ``settings.band`` then restricts what is
    compared. Metrics, with T_i the sets within the layers and p_i the activation probabilities:

    - ``jaccard``: \\|T_i ∩ T_j\\| / \\|T_i ∪ T_j\\|.
    - ``overlap``: the overlap coefficient \\|T_i ∩ T_j\\| / min(\\|T_i\\|, \\|T_j\\|).
    - ``count``: \\|T_i ∩ T_j\\|.
    - ``activation``: cosine of p_i and p_j over T_i ∩ T_j (the paper's activation similarity).
    - ``centred``: cosine of p_i − p̄ and p_j − p̄ over T_i ∪ T_j, p̄ the mean over the languages.

    Where a ratio has nothing to divide by (empty sets, no shared neuron) the value is 0, and 1 on
    the diagonal.

    Raises
    ------
    InputError
        Fewer than two languages, an unknown metric, selection or ties, a top rate or a band out
        of range.
    """
    require_known(settings.metric, METRICS, "metric")
    if len(table.languages) < 2:
        raise InputError(_TOO_FEW)
    kept = list(range(len(table.languages)) if rows is None else rows)
    probability = table.probability[:, _within(table.layers, settings)]
    return _matrix(
        select(table, settings, kept),
        settings,
        probability.reshape(len(table.languages), -1),
        kept,
    )


def spectrum_of_sets(sets: NeuronSets, settings: SpectrumSettings = PAPER) -> OverlapMatrix:
    """The same of neuron sets that are given, such as imported ones.

    Of the settings only ``metric``, one of :data:`SET_METRICS`, and ``band`` count.

    Raises
    ------
    InputError
        Fewer than two languages, a metric that needs activation statistics, a band out of range.
    """
    require_known(settings.metric, METRICS, "metric")
    if settings.metric not in SET_METRICS:
        raise InputError(
            f"The metric '{settings.metric}' needs activation statistics, and neuron sets have "
            f"none: choose one of {', '.join(SET_METRICS)}."
        )
    if len(sets.languages) < 2:
        raise InputError(_TOO_FEW)
    return _matrix(sets, settings, np.empty((0, 0)), ())


def _within(depth: int, settings: SpectrumSettings) -> slice:
    layers = layer_band(depth, settings.band)
    return slice(layers.start, layers.stop)


def _matrix(
    sets: NeuronSets, settings: SpectrumSettings, probability: np.ndarray, kept: Sequence[int]
) -> OverlapMatrix:
    """``probability`` is that of all languages in the neurons within the layers, ``kept`` says
    which of them the sets are of."""
    depth = sets.masks.shape[1]
    within = sets.masks[:, _within(depth, settings)]
    masks = within.reshape(len(sets.languages), -1).astype(np.float64)
    shared = masks @ masks.T
    return OverlapMatrix(
        languages=sets.languages,
        values=_measure(settings.metric, masks, probability, kept, shared),
        shared=np.rint(shared).astype(np.int64),
        sizes=np.rint(np.diag(shared)).astype(np.int64),
        settings=settings,
        layers=layer_band(depth, settings.band),
    )


def select(
    table: ActivationTable, settings: SpectrumSettings, rows: Sequence[int] | None = None
) -> NeuronSets:
    """The neuron sets that a spectrum of these settings compares."""
    return top_neurons(
        table,
        selection=settings.selection,
        top_rate=settings.top_rate,
        ties=settings.ties,
        rows=rows,
    )


def _measure(
    metric: str,
    masks: np.ndarray,
    probability: np.ndarray,
    kept: Sequence[int],
    shared: np.ndarray,
) -> np.ndarray:
    if metric == "count":
        return shared
    sizes = np.diag(shared)
    if metric == "jaccard":
        values = _ratio(shared, sizes[:, None] + sizes[None, :] - shared)
    elif metric == "overlap":
        values = _ratio(shared, np.minimum(sizes[:, None], sizes[None, :]))
    elif metric == "activation":
        values = _cosine_over_shared(masks, probability[kept])
    else:
        values = _cosine_over_union(masks, probability[kept] - probability.mean(0))
    np.fill_diagonal(values, 1.0)
    return values


def _cosine_over_shared(masks: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    inside = masks * vectors
    lengths = (inside * vectors) @ masks.T  # |v_i|² over T_i ∩ T_j
    return _ratio(inside @ inside.T, np.sqrt(lengths * lengths.T))


def _cosine_over_union(masks: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    inside, squares = masks * vectors, np.square(vectors)
    half = inside @ vectors.T  # Σ over T_i of v_i v_j; the union is T_i + T_j − T_i ∩ T_j
    dots = half + half.T - inside @ inside.T
    own = (masks * squares).sum(1)[:, None]
    lengths = own + squares @ masks.T - (masks * squares) @ masks.T
    return _ratio(dots, np.sqrt(lengths * lengths.T))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


@dataclass(frozen=True)
class Reliability:
    """Agreement of the spectra of two halves of the text.

    Attributes
    ----------
    rho : Spearman's rho between the off-diagonal values of the halves.
    corrected : by Spearman and Brown, 2·rho/(1 + rho): what the whole text should reach.
    """

    rho: float
    corrected: float


def split_half(
    stats: Mapping[str, ActivationStats], settings: SpectrumSettings = DEFAULT
) -> Reliability:
    """Split-half reliability of a spectrum: even-numbered blocks (articles) against odd ones.

    Raises
    ------
    InputError
        A language with one block only.
    """
    even, odd = (spectrum(half, settings).values for half in ActivationTable.halves(stats))
    rho = spearman(even, odd)
    return Reliability(rho, spearman_brown(rho))


def rate_agreement(
    table: ActivationTable, settings: SpectrumSettings, rates: Sequence[float] = RATES
) -> pd.DataFrame:
    """How the matrix at this top rate agrees with those at other rates.

    Returns columns ``top_rate`` and ``rho`` (Spearman, off the diagonal), a row a rate.
    """
    here = spectrum(table, settings).values
    rows = [
        (rate, spearman(here, spectrum(table, replace(settings, top_rate=rate)).values))
        for rate in rates
    ]
    return pd.DataFrame(rows, columns=["top_rate", "rho"])


def saturation(table: ActivationTable, settings: SpectrumSettings) -> pd.DataFrame:
    """Which sets the tie-break decides.

    Returns a row a language: ``language``, ``tokens``, ``set_size``, ``saturated`` (neurons active
    on every token, activation probability 1), ``tied`` (neurons at the lowest score let in) and
    ``chosen_by_tie_break`` (how many of those are in the set where not all of them fit; else 0).
    """
    sets = select(table, settings)
    undecided = sets.tied_in < sets.tied
    return pd.DataFrame(
        {
            "language": table.languages,
            "tokens": table.tokens,
            "set_size": sets.sizes,
            "saturated": (table.counts == table.tokens[:, None, None]).sum((1, 2)),
            "tied": sets.tied,
            "chosen_by_tie_break": np.where(undecided, sets.tied_in, 0),
        }
    )


@dataclass(frozen=True)
class Ordering:
    """An order of a matrix's languages; with the dendrogram it comes from, if any."""

    order: tuple[int, ...]
    tree: ClusterTree | None = None


def order_languages(
    matrix: OverlapMatrix, languages: Sequence[Language], by: str = "clustering"
) -> Ordering:
    """Order languages by hierarchical clustering of the matrix, by family, or by English name."""
    require_known(by, ORDERINGS, "ordering")
    if by == "clustering":
        tree = cluster(matrix.values)
        return Ordering(tree.order, tree)
    names = [(lang.family if by == "family" else "", lang.name.casefold()) for lang in languages]
    return Ordering(tuple(sorted(range(len(names)), key=names.__getitem__)))
