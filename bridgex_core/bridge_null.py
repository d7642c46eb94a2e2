"""Bridges against chance: HSIC scores by their distance from those of random neuron sets.

A mean of maxima grows with the number of neurons, so bridges with larger sets win for nothing. Here
every specific neuron of a bridge is replaced by a random one of the same layer with about the same
activation probability, again and again, and the score counts in standard deviations above the mean
of these draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .bridge_hsic import BridgeScores, Ranked, score_bridges
from .bridge_sets import BridgeSettings, Layout, neuron_rows
from .errors import InputError
from .hsic import hsic_matrix
from .probe import ProbeActivations

DRAWS = 200
NEIGHBOURS = 50
"""Neurons nearest in activation probability that one may be replaced by."""

NEIGHBOURS_DRAWN = 10
"""Neighbours are at least this many times the neurons drawn in the layer. Sets that are a share f
of what they are drawn from resemble one another: z of a mean would have the variance
(1 + f)/(1 - f) by chance alone."""

_STEP_VALUES = 2**21  # of draws in one step
_REACHED = 1e-9  # relative: a draw this close to the score counts as reaching it


@dataclass(frozen=True, eq=False)
class Null:
    """What random sets score: mean, sd and the quantiles low (2.5 %) and high (97.5 %).

    Arrays of one shape; NaN where nothing can be drawn.
    """

    mean: np.ndarray
    sd: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, draws: np.ndarray) -> Null:
        """From the scores (D, …) of D draws."""
        low, high = np.quantile(draws, (0.025, 0.975), axis=0)
        return cls(draws.mean(axis=0), draws.std(axis=0, ddof=1), low, high)


@dataclass(frozen=True, eq=False)
class Calibrated(Ranked):
    """Bridges by z = (score - mean of the draws)/standard deviation of the draws.

    The z of a subsample is moved by what halving the prompts adds to the plain score on average,
    so that bridges can be compared on subsamples.

    Attributes
    ----------
    plain : the scores before.
    draws : (D, B), the scores of random sets.
    p_values : (B,), (1 + #{draw >= score})/(1 + D), one-sided.
    null : of the scores, (B,).
    layer_null : of each layer by itself, (B, L), over the whole depth.
    """

    plain: BridgeScores
    draws: np.ndarray
    p_values: np.ndarray
    null: Null
    layer_null: Null


def calibrate(
    probe: ProbeActivations,
    overlap: np.ndarray,
    specific: Mapping[str, np.ndarray],
    probability: np.ndarray,
    settings: BridgeSettings | None = None,
    *,
    draws: int = DRAWS,
    neighbours: int = NEIGHBOURS,
) -> Calibrated:
    """Score bridges against random neuron sets of the same sizes, layer by layer.

    A replacement is one of the ``neighbours`` (or ten times as many as the set has in the layer, if
    that is more) nearest in rank of activation probability in the same layer. Neurons of the
    overlap and of the bridge are left out, and dead ones: activation probability 0, or constant
    over the prompts. A set holds no neuron twice. Every bridge draws from ``settings.seed`` afresh:
    what it gets does not depend on the others or on the band.

    Parameters
    ----------
    probe, overlap, specific : as for `bridge_hsic.score_bridges`.
    probability : (L, I), mean activation probability over the languages.
    settings : default `BridgeSettings(regress_length=True)`, since prompt length moves neurons
        together that have nothing else in common.

    Raises
    ------
    InputError
        Those of `score_bridges`; released bandwidth or layers, which change with the set.
    """
    settings = settings or BridgeSettings(regress_length=True)
    if settings.bandwidth == "released" or settings.renumbered:
        raise InputError(
            "The released scores have no null of random sets, since their bandwidth and layers "
            "depend on the set: take the bandwidth 'median' and layers by their own numbers."
        )
    if draws < 2 or neighbours < 1:
        raise InputError("A null needs at least 2 draws and 1 neighbour.")
    if probability.shape != overlap.shape:
        raise ValueError("the probabilities and the masks are of different models")
    plain = score_bridges(probe, overlap, specific, settings)
    layout = Layout.of(probe, overlap, specific, settings)
    values = probe.values
    free = (probability > 0) & (values.max(axis=2) > values.min(axis=2)) & ~overlap
    picked = [
        _draw_sets(probability, mask, free & ~mask, draws, neighbours, settings.seed)
        for mask in layout.specific
    ]
    by_layer = np.full((layout.depth, draws, len(layout.bridges)), np.nan)
    for layer in range(layout.depth):
        by_layer[layer] = _null_scores(probe, layout, settings, picked, [layer], draws)
    if layout.pooled:
        null_scores = _null_scores(probe, layout, settings, picked, layout.layers, draws)
    else:
        null_scores = layout.mean(by_layer[list(layout.layers)])
    return _calibrated(plain, null_scores, by_layer.transpose(1, 2, 0))


def _calibrated(plain: BridgeScores, draws: np.ndarray, by_layer: np.ndarray) -> Calibrated:
    null = Null.of(draws)
    sd = np.where(null.sd > 0, null.sd, np.nan)
    z = (plain.scores - null.mean) / sd
    halves = plain.subsamples
    if len(halves):
        halves = z + (halves - halves.mean(axis=0)) / sd
    reached = (draws >= plain.scores - _REACHED * np.abs(plain.scores)).sum(axis=0)
    p_values = np.where(np.isnan(z), np.nan, (1 + reached) / (1 + len(draws)))
    reasons = dict(plain.reasons)
    for code in np.array(plain.bridges)[np.isnan(z)]:
        reasons.setdefault(
            str(code), f"{code} has too few other neurons in its layers to be compared with."
        )
    return Calibrated(
        plain.bridges, z, halves, reasons, plain, draws, p_values, null, Null.of(by_layer)
    )


def _draw_sets(
    probability: np.ndarray,
    mask: np.ndarray,
    free: np.ndarray,
    draws: int,
    neighbours: int,
    seed: int,
) -> list[np.ndarray | None]:
    """Per layer int (D, n): neurons drawn for the n of the mask; None: too few are free."""
    random = np.random.default_rng(seed)
    return [
        _draw(probability[layer], own, free[layer], draws, neighbours, random)
        for layer, own in enumerate(mask)
    ]


def _draw(
    probability: np.ndarray,
    own: np.ndarray,
    free: np.ndarray,
    draws: int,
    neighbours: int,
    random: np.random.Generator,
) -> np.ndarray | None:
    """One layer of `_draw_sets`."""
    pool = np.flatnonzero(free)
    pool = pool[np.argsort(probability[pool], kind="stable")]
    wanted = probability[own]
    if len(pool) < len(wanted):
        return None
    width = min(max(neighbours, NEIGHBOURS_DRAWN * len(wanted)), len(pool))
    ranked = probability[pool]
    # The middle of the neurons that tie with it.
    middle = (ranked.searchsorted(wanted) + ranked.searchsorted(wanted, side="right")) // 2
    starts = np.clip(middle - width // 2, 0, len(pool) - width)
    every = np.arange(draws)
    used = np.zeros((draws, len(pool)), dtype=bool)
    found = np.empty((draws, len(wanted)), dtype=int)
    for i, start in enumerate(starts):
        lots = random.random((draws, width))
        lots[used[:, start : start + width]] = 2.0
        found[:, i] = start + lots.argmin(axis=1)
        used[every, found[:, i]] = True
    return pool[found]


def _null_scores(
    probe: ProbeActivations,
    layout: Layout,
    settings: BridgeSettings,
    picked: list[list[np.ndarray | None]],
    layers: tuple[int, ...] | list[int],
    draws: int,
) -> np.ndarray:
    """(D, B): the similarity of the overlap with each draw in some layers taken together."""
    scores = np.full((draws, len(picked)), np.nan)
    kept = np.zeros(layout.depth, dtype=bool)
    kept[list(layers)] = True
    x = neuron_rows(probe, np.argwhere(layout.overlap & kept[:, np.newaxis]), settings)
    width = layout.overlap.shape[1]
    # Each draw as places in the flattened layers, (D, n).
    sets: dict[int, np.ndarray] = {}
    for b, by_layer in enumerate(picked):
        drawn = [(layer, by_layer[layer]) for layer in layers]
        there = [layer * width + found for layer, found in drawn if found is not None]
        if len(there) == len(drawn) and sum(found.shape[1] for found in there):
            sets[b] = np.concatenate(there, axis=1)
    if not len(x) or not sets:
        return scores
    pool = np.unique(np.concatenate([found.ravel() for found in sets.values()]))
    y = neuron_rows(probe, np.stack(np.divmod(pool, width), axis=1), settings)
    values = hsic_matrix(x, y, bandwidth=settings.bandwidth, estimator=settings.estimator)
    for b, found in sets.items():
        scores[:, b] = _similarities(values, pool.searchsorted(found))
    return scores


def _similarities(values: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(D,): `hsic.set_similarity` of values (N, M) in each choice of columns (D, n)."""
    by_column = np.ascontiguousarray(values.T)
    scores = by_column.max(axis=1)[columns].mean(axis=1)
    step = max(1, _STEP_VALUES // (len(values) * columns.shape[1]))
    for start in range(0, len(columns), step):
        at = slice(start, start + step)
        scores[at] += by_column[columns[at]].max(axis=1).mean(axis=1)
    return scores / 2
