"""Bandwidths of Gaussian kernels: σ by the median heuristic, and as the paper's code takes it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import pdist

_LOOKS = 32  # samples per row that a first guess looks at
_ROWS = 128  # rows guessed at a time
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
    in_order = np.sort(x, axis=1)
    sigma = np.zeros(len(x))
    for start in range(0, len(x), _ROWS):
        rows = in_order[start : start + _ROWS]
        tied = (rows[:, 1:] == rows[:, :-1]).any(axis=1)
        for i, (row, guess, ties) in enumerate(zip(rows, _guesses(rows), tied, strict=True)):
            if row[-1] > row[0]:
                sigma[start + i] = _median_distance(row, guess, bool(ties))
    return sigma


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


def _guesses(in_order: np.ndarray) -> np.ndarray:
    """Two distances (N, 2) between which the median of each sorted row likely lies."""
    samples = in_order.shape[1]
    looks = in_order[:, ((np.arange(_LOOKS) + 0.5) * samples / _LOOKS).astype(int)]
    i, j = np.triu_indices(_LOOKS, 1)
    at = [int(share * (len(i) - 1)) for share in _AROUND]
    return np.partition(looks[:, j] - looks[:, i], at, axis=1)[:, at]


class _Cut(NamedTuple):
    """The distances of a sorted row parted at t: ``up_to`` of them are at most t, those from
    sample a to the samples a + 1 ... ends[a] - 1."""

    t: float
    ends: np.ndarray
    up_to: int

    @classmethod
    def at(cls, row: np.ndarray, t: float) -> _Cut:
        ends = row.searchsorted(row + t, side="right")
        return cls(t, ends, int(ends.sum()) - len(row) * (len(row) + 1) // 2)


def _median_distance(row: np.ndarray, guess: np.ndarray, ties: bool) -> float:
    """Median of the distances in a sorted row that is not constant."""
    samples = len(row)
    pairs = samples * (samples - 1) // 2
    below = _Cut.at(row, 0.0) if ties else _Cut(0.0, np.arange(1, samples + 1), 0)
    above = _Cut(float(row[-1] - row[0]), np.full(samples, samples), pairs)
    zeros = below.up_to if below.up_to > pairs // 2 else 0  # then only what is not 0 counts
    lower = zeros + (pairs - zeros - 1) // 2  # the middle two places, from 0
    upper = zeros + (pairs - zeros) // 2
    if lower < below.up_to <= upper:
        return _around(row, below)

    step = 0
    while above.up_to - below.up_to > _FEW * samples:
        if step < 2:
            t = float(guess[step])
        elif step < 4:  # as if the distances between were spread evenly, with some to spare
            place = lower + (-1 if step == 2 else 1) * samples - below.up_to
            share = min(max(place / (above.up_to - below.up_to), 0.0), 1.0)
            t = below.t + share * (above.t - below.t)
        else:
            least, most = _extremes(row, below, above)
            t = (least + most) / 2
            if least == most:
                return most
        cut = _Cut.at(row, t)
        if lower < cut.up_to <= upper:
            return _around(row, cut)
        if below.up_to < cut.up_to <= lower:
            below = cut
        elif upper < cut.up_to < above.up_to:
            above = cut
        elif step >= 4:  # only rounding tells the distances left apart
            return most
        step += 1
    inside = _listed(row, below, above)
    inside.partition(upper - below.up_to)
    high = float(inside[upper - below.up_to])
    return high if lower == upper else (float(inside[: upper - below.up_to].max()) + high) / 2


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


def _listed(row: np.ndarray, below: _Cut, above: _Cut) -> np.ndarray:
    """All distances between two cuts."""
    lengths = above.ends - below.ends
    skipped = lengths.cumsum() - lengths
    later = np.arange(above.up_to - below.up_to) + (below.ends - skipped).repeat(lengths)
    return row[later] - row.repeat(lengths)
