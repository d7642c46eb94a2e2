"""Bandwidths of Gaussian kernels: σ by the median heuristic, and as the paper's code takes it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.spatial.distance import pdist

from bridgex_core.threads import in_threads

_LOOKS = 32  # samples per row that a first guess looks at
_ROWS = 64  # rows at a time
_AROUND = (0.48, 0.493)  # quantiles of their distances; the median mostly lies between these
_FEW = 8  # distances per sample that are listed rather than narrowed down further


def median_bandwidth(x: np.ndarray) -> np.ndarray:
    """σ (N,) of each row of x (N, n >= 2): the median of |x_a - x_b| over a < b.

    Where that is 0 (more than about seven in ten values are equal), it is the median of those
    distances that are not 0. Only a constant row has σ = 0. Exact as if all n(n-1)/2 distances were
    sorted, but without forming them.

    >>> median_bandwidth(np.array([[0.0, 1.0, 3.0], [5.0, 5.0, 5.0], [0.0, 0.0, 2.0]]))
    array([2., 0., 2.])
    """
    step = max(1, min(_ROWS, len(x) // 8))
    parts = in_threads(_medians, [x[start : start + step] for start in range(0, len(x), step)])
    return np.concatenate([*parts, np.zeros(0)])


def released_bandwidth(x: np.ndarray, y: np.ndarray) -> float:
    """The one σ that the released code takes for all rows of x (N, n) and y (M, n).

    It is the lower median of the Euclidean distances between rows, n-dimensional vectors, within x
    and within y, never from x to y, plus 1e-6. All N² + M² ordered pairs count, with the N + M
    zeros from a row to itself among them.

    >>> released_bandwidth(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[1.0, 1.0]]))
    1e-06
    """
    pairs = np.concatenate([pdist(x), pdist(y)])
    zeros = len(x) + len(y)
    place = (zeros + 2 * len(pairs) - 1) // 2
    if place < zeros:
        return 1e-6
    at = (place - zeros) // 2  # each pair is there twice
    return float(np.partition(pairs, at)[at]) + 1e-6


def _medians(x: np.ndarray) -> np.ndarray:
    """`median_bandwidth` of a few rows (c, n).

    All rows together are first searched between two guesses. Rows where that fails, for their
    median is elsewhere or many distances are equal, are searched one by one.
    """
    in_order = np.sort(x, axis=1)
    in_order -= in_order[:, :1].copy()
    medians = np.zeros(len(x))
    rows = np.flatnonzero(in_order[:, -1] > 0)
    in_order = in_order[rows]
    guesses = _guesses(in_order)
    found = _between_guesses(in_order, guesses)
    for i in np.flatnonzero(np.isnan(found)):
        found[i] = _median_distance(in_order[i], guesses[i])
    medians[rows] = found
    return medians


def _guesses(in_order: np.ndarray) -> np.ndarray:
    """Two distances (c, 2) between which the median of each sorted row likely lies."""
    samples = in_order.shape[1]
    looks = np.unique(((np.arange(_LOOKS) + 0.5) * samples / _LOOKS).astype(int))
    i, j = np.triu_indices(len(looks), 1)
    distances = in_order[:, looks[j]] - in_order[:, looks[i]]
    if not len(i):
        return np.zeros((len(in_order), 2))
    at = [int(share * (len(i) - 1)) for share in _AROUND]
    return np.partition(distances, at, axis=1)[:, at]


def _between_guesses(in_order: np.ndarray, guesses: np.ndarray) -> np.ndarray:
    """Medians (c,) of the distances in sorted rows that start at 0; NaN where not found."""
    count, samples = in_order.shape
    pairs = samples * (samples - 1) // 2
    middle = np.array([(pairs - 1) // 2, pairs // 2])
    # Rows scaled to 0 ... 1 and set apart, so that one search serves all. What rounding does to
    # that is checked below: it only matters at the edges of what the search singles out.
    span = in_order[:, -1:]
    apart = in_order / span + 2.0 * np.arange(count)[:, np.newaxis]
    ends = np.array([
        np.searchsorted(apart.ravel(), (apart + guess).ravel(), side="right")
        for guess in (guesses / span).T[:, :, np.newaxis]
    ])  # fmt: skip
    ends = np.minimum(
        ends.reshape(2, count, samples), samples * np.arange(1, count + 1)[:, np.newaxis]
    )
    first = samples * np.arange(count)[:, np.newaxis] + np.arange(samples) + 1
    below, above = (ends - first).sum(axis=2)
    usable = (below <= middle[0]) & (above > middle[1]) & (above - below <= _FEW * samples)

    start, stop = ends[:, usable].reshape(2, -1)
    distances = _listed(in_order.ravel(), in_order[usable].ravel(), start, stop)
    edges = np.cumsum([0, *(above - below)[usable]])
    medians = np.full(count, np.nan)
    for i, (left, right) in zip(np.flatnonzero(usable), pairwise(edges), strict=True):
        at = middle - below[i]
        low, high = np.partition(distances[left:right], at)[at]
        unclear = 1e-12 * span[i, 0]
        if guesses[i, 0] + unclear < low and high < guesses[i, 1] - unclear:
            medians[i] = (low + high) / 2
    return medians


@dataclass(frozen=True)
class _Cut:
    """The distances of a sorted row parted at t: ``count`` of them are at most t, those from
    sample a to the samples a + 1 ... ends[a] - 1."""

    t: float
    ends: np.ndarray
    count: int

    @classmethod
    def at(cls, row: np.ndarray, t: float) -> _Cut:
        ends = np.searchsorted(row, row + t, side="right")
        return cls(t, ends, int(ends.sum()) - len(row) * (len(row) + 1) // 2)


def _median_distance(row: np.ndarray, guess: np.ndarray) -> float:
    """Median of the distances in a sorted row that starts at 0 and is not constant."""
    samples = len(row)
    pairs = samples * (samples - 1) // 2
    below = _Cut.at(row, 0.0)
    above = _Cut(float(row[-1]), np.full(samples, samples), pairs)
    zeros = below.count if below.count > pairs // 2 else 0  # then only what is not 0 counts
    lower = zeros + (pairs - zeros - 1) // 2  # the middle two places, from 0
    upper = zeros + (pairs - zeros) // 2
    if lower < below.count <= upper:
        return _around(row, below)

    step = 0
    while above.count - below.count > _FEW * samples:
        if step < 2:
            t = float(guess[step])
        elif step < 4:  # as if the distances between were spread evenly, with some to spare
            place = lower + (-2 if step == 2 else 2) * samples - below.count
            share = min(max(place / (above.count - below.count), 0.0), 1.0)
            t = below.t + share * (above.t - below.t)
        else:
            least, most = _extremes(row, below, above)
            t = (least + most) / 2
            if least == most:
                return most
        cut = _Cut.at(row, t)
        if lower < cut.count <= upper:
            return _around(row, cut)
        if below.count < cut.count <= lower:
            below = cut
        elif upper < cut.count < above.count:
            above = cut
        elif step >= 4:  # only rounding tells the distances left apart
            return most
        step += 1
    inside = _listed(row, row, below.ends, above.ends)
    middle = [lower - below.count, upper - below.count]
    return float(np.partition(inside, middle)[middle].mean())


def _around(row: np.ndarray, cut: _Cut) -> float:
    """Mean of the largest distance below a cut and the smallest above it."""
    more = cut.ends < len(row)
    smallest = (row[cut.ends[more]] - row[more]).min()
    return float((row[cut.ends - 1] - row).max() + smallest) / 2


def _extremes(row: np.ndarray, below: _Cut, above: _Cut) -> tuple[float, float]:
    """The smallest and the largest distance between two cuts."""
    some = below.ends < above.ends
    start = row[some]
    smallest = (row[below.ends[some]] - start).min()
    return float(smallest), float((row[above.ends[some] - 1] - start).max())


def _listed(row: np.ndarray, first: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """row[start[a]:stop[a]] - first[a], one a after the other."""
    lengths = stop - start
    skipped = np.cumsum(lengths) - lengths
    later = np.arange(lengths.sum()) + np.repeat(start - skipped, lengths)
    return row[later] - np.repeat(first, lengths)
