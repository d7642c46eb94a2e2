"""Which bridge language: HSIC between the overlap of source and target and each bridge's neurons.

X are the activations of the overlap over the prompts of a probe, Y those of a bridge's specific
neurons. The similarity of the two sets is the mean of maxima of `hsic.set_similarity`; a bridge's
score is its mean over the layers of a band, or is taken once over the neurons of all of them. All
bridges come from one HSIC matrix, so that scores, subsamples and random sets only pick columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .bridge_sets import BridgeSettings, Layout, neuron_rows
from .hsic import hsic_matrix, set_similarity
from .hsic_subsamples import GROUPS, Halves, subsampled
from .probe import ProbeActivations

FEWEST_PROMPTS = GROUPS
"""With fewer prompts there is no interval."""

BEST_PAIRS = 20
_PAIR_COLUMNS = ("layer", "neuron", "bridge_layer", "bridge_neuron", "hsic")
_NORMAL = 1.96  # standard deviations of a normal distribution's middle 95 %
_EQUAL = 1e-12  # of a score: a smaller difference is a tie


@dataclass(frozen=True, eq=False)
class Ranked:
    """B bridges by a score that was also taken on S random halves of the prompts.

    Attributes
    ----------
    bridges : B FLORES codes, in the order in which they were given.
    scores : float (B,), higher is better; NaN where ``reasons`` says why.
    subsamples : (S, B), the same on each half; S = 0 where none were asked for, or with fewer than
        `FEWEST_PROMPTS` prompts.
    reasons : for each bridge without a score, one sentence.
    """

    bridges: tuple[str, ...]
    scores: np.ndarray
    subsamples: np.ndarray
    reasons: Mapping[str, str]

    @property
    def spread(self) -> np.ndarray:
        """(B,), half the width of a 95 % interval over prompts: 1.96 standard deviations.

        A delete-d jackknife: d = n/2 of n prompts are left out, so that its variance factor
        (n - d)/d is 1 and the variance is that of the subsamples. Around the score, not around the
        subsamples: HSIC of fewer prompts is larger by nature. NaN without subsamples.
        """
        if not len(self.subsamples):
            return np.full(len(self.bridges), np.nan)
        return _NORMAL * self.subsamples.std(axis=0)

    @property
    def low(self) -> np.ndarray:
        """(B,), the lower end of the interval."""
        return self.scores - self.spread

    @property
    def high(self) -> np.ndarray:
        """(B,), the upper end."""
        return self.scores + self.spread

    @property
    def first_share(self) -> np.ndarray:
        """(B,), the share of subsamples in which a bridge is first; a tie is split."""
        return first_shares(self.subsamples)

    @property
    def ranking(self) -> tuple[str, ...]:
        """The bridges, best first; those without a score last; ties as they were given."""
        return tuple(self.bridges[b] for b in np.argsort(-self.scores, kind="stable"))

    @property
    def as_good_as_first(self) -> tuple[str, ...]:
        """The first and those whose distance to it has a 95 % interval that reaches 0.

        By paired subsamples. Without subsamples only those that tie with the first.
        """
        if np.isnan(self.scores).all():
            return ()
        first = int(np.nanargmax(self.scores))
        reach = np.zeros(len(self.bridges))
        if len(self.subsamples):
            reach = _NORMAL * (self.subsamples[:, [first]] - self.subsamples).std(axis=0)
        level = self.scores[first] - self.scores <= reach
        return tuple(code for code in self.ranking if level[self.bridges.index(code)])

    def frame(self) -> pd.DataFrame:
        """Best first: bridge, score, low, high, first_share, reason ('' where there is a score)."""
        table = {
            "bridge": self.bridges,
            "score": self.scores,
            "low": self.low,
            "high": self.high,
            "first_share": self.first_share,
            "reason": [self.reasons.get(code, "") for code in self.bridges],
        }
        return (
            pd.DataFrame(table).iloc[np.argsort(-self.scores, kind="stable")].reset_index(drop=True)
        )


@dataclass(frozen=True, eq=False)
class BridgeScores(Ranked):
    """HSIC scores, with what they are made of.

    Attributes
    ----------
    settings : as asked for.
    pooled : whether the layers of the band were pooled.
    layers : the layers that count: in the band, where all bridges that have a score have neurons;
        if pooled, all of the band; if renumbered, those that the band of any bridge reads.
    layer_scores : (B, L), of each layer by itself, over the whole depth; NaN without neurons.
    overlap_counts, counts : int (L,) and (B, L), neurons of the overlap and of each bridge.
    best_pairs : for each bridge the `BEST_PAIRS` pairs of neurons that match best, with the columns
        layer, neuron (of the overlap), bridge_layer, bridge_neuron, hsic.
    """

    settings: BridgeSettings
    pooled: bool
    layers: tuple[int, ...]
    layer_scores: np.ndarray
    overlap_counts: np.ndarray
    counts: np.ndarray
    best_pairs: Mapping[str, pd.DataFrame]


def first_shares(scores: np.ndarray) -> np.ndarray:
    """(B,) of scores (S, B): how often each is the highest of its row, a tie split between them.

    NaN is never first; without rows all shares are NaN.

    >>> first_shares(np.array([[1.0, 2.0, np.nan], [3.0, 3.0, np.nan]]))
    array([0.25, 0.75, 0.  ])
    """
    known = np.where(np.isnan(scores), -np.inf, scores)
    if not len(scores) or np.isneginf(known).all():
        return np.full(scores.shape[1], np.nan)
    best = known.max(axis=1, keepdims=True)
    first = known >= best - _EQUAL * np.abs(best)
    return (first / first.sum(axis=1, keepdims=True)).mean(axis=0)


# ---- Scoring -----------------------------------------------------------------------------------


def score_bridges(
    probe: ProbeActivations,
    overlap: np.ndarray,
    specific: Mapping[str, np.ndarray],
    settings: BridgeSettings | None = None,
) -> BridgeScores:
    """Score bridges for a pair by HSIC on its overlap neurons.

    Parameters
    ----------
    probe : P >= 2 prompts from source to target.
    overlap, specific : masks (L, I) of `bridge_neurons`.
    settings : default `BridgeSettings()`.

    Raises
    ------
    InputError
        Fewer than two prompts, no bridge, an overlap without a neuron in the band, what
        `hsic.hsic_matrix` cannot take.
    """
    settings = settings or BridgeSettings()
    layout = Layout.of(probe, overlap, specific, settings)
    matrices = [_matrices(probe, layout, settings, layer) for layer in range(layout.depth)]
    by_layer = np.array([[_similarity(m) for m in row] for row in matrices]).T
    if layout.pooled:
        used = [_matrices(probe, layout, settings, None)]
        scores = np.array([_similarity(matrix) for matrix in used[0]])
    else:
        used = [matrices[layer] for layer in layout.layers]
        scores = layout.mean(by_layer[:, list(layout.layers)].T)
    units = [None] if layout.pooled else list(layout.layers)
    return BridgeScores(
        layout.bridges,
        scores,
        _subsamples(probe, layout, settings),
        layout.reasons,
        settings,
        layout.pooled,
        layout.layers,
        by_layer,
        layout.overlap.sum(axis=1),
        layout.counts,
        {
            code: _best_pairs(layout, b, units, [row[b] for row in used])
            for b, code in enumerate(layout.bridges)
        },
    )


def _batches(bridges: int, settings: BridgeSettings) -> list[list[int]]:
    """Bridges that can share a matrix: all, unless σ depends on what else is in it."""
    every = list(range(bridges))
    return [[b] for b in every] if settings.bandwidth == "released" else [every]


def _matrices(
    probe: ProbeActivations, layout: Layout, settings: BridgeSettings, layer: int | None
) -> list[np.ndarray]:
    """HSIC (N, M) of the overlap with each bridge in a layer, or in the pooled ones."""
    x = neuron_rows(probe, layout.places(layout.overlap, layer), settings)
    found: list[np.ndarray] = []
    for batch in _batches(len(layout.bridges), settings):
        places = layout.places(layout.union(batch), layer)
        y = neuron_rows(probe, places, settings)
        values = np.zeros((len(x), len(y)))
        if values.size:
            values = hsic_matrix(x, y, bandwidth=settings.bandwidth, estimator=settings.estimator)
        for b in batch:
            found.append(values[:, layout.specific[b][places[:, 0], places[:, 1]]])
    return found


def _similarity(matrix: np.ndarray) -> float:
    return set_similarity(matrix) if matrix.size else np.nan


def _subsamples(probe: ProbeActivations, layout: Layout, settings: BridgeSettings) -> np.ndarray:
    """(S, B) scores on random halves of the prompts, σ and regressions being those of the whole."""
    if not settings.subsamples or probe.prompts < FEWEST_PROMPTS or not layout.layers:
        return np.empty((0, len(layout.bridges)))
    halves = Halves.draw(probe.prompts, settings.subsamples, settings.seed)
    if layout.pooled:
        return _unit_subsamples(probe, layout, settings, halves, None)
    return layout.mean(
        np.stack(
            [_unit_subsamples(probe, layout, settings, halves, layer) for layer in layout.layers]
        )
    )


def _unit_subsamples(
    probe: ProbeActivations,
    layout: Layout,
    settings: BridgeSettings,
    halves: Halves,
    layer: int | None,
) -> np.ndarray:
    """(S, B) similarities of one layer, or of the pooled ones, on each half."""
    x = neuron_rows(probe, layout.places(layout.overlap, layer), settings)
    scores = np.full((len(halves.chosen), len(layout.bridges)), np.nan)
    for batch in _batches(len(layout.bridges), settings):
        places = layout.places(layout.union(batch), layer)
        y = neuron_rows(probe, places, settings)
        if not len(x) or not len(y):
            continue
        members = layout.specific[batch][:, places[:, 0], places[:, 1]]
        of_x = np.full((len(batch), len(scores), len(x)), -np.inf)
        of_y = np.full((len(scores), len(y)), -np.inf)
        for i, j, values in subsampled(
            x, y, halves, bandwidth=settings.bandwidth, estimator=settings.estimator
        ):
            of_y[:, j] = np.maximum(of_y[:, j], values.max(axis=1))
            for best, member in zip(of_x, members[:, j], strict=True):
                if member.any():
                    best[:, i] = np.maximum(best[:, i], values[:, :, member].max(axis=2))
        for b, best, member in zip(batch, of_x, members, strict=True):
            if member.any():
                scores[:, b] = (best.mean(axis=1) + of_y[:, member].mean(axis=1)) / 2
    return scores


def _best_pairs(
    layout: Layout, b: int, units: Sequence[int | None], matrices: Sequence[np.ndarray]
) -> pd.DataFrame:
    """The pairs of highest HSIC in the layers that count for bridge b."""
    tables = []
    for unit, matrix in zip(units, matrices, strict=True):
        counts = layout.band[b].any() if unit is None else layout.band[b, unit]
        best = np.argsort(-matrix, axis=None, kind="stable")[: BEST_PAIRS if counts else 0]
        of_x, of_y = np.divmod(best, max(matrix.shape[1], 1))
        here = layout.places(layout.overlap, unit)[of_x]
        there = layout.places(layout.specific[b], unit)[of_y]
        columns = (here[:, 0], here[:, 1], there[:, 0], there[:, 1], matrix.ravel()[best])
        tables.append(pd.DataFrame(dict(zip(_PAIR_COLUMNS, columns, strict=True))))
    if not tables:
        return pd.DataFrame(columns=list(_PAIR_COLUMNS))
    found = pd.concat(tables).sort_values("hsic", ascending=False, kind="stable", ignore_index=True)
    return found.head(BEST_PAIRS)
