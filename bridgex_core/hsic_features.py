"""Low-rank features of the Gaussian kernels of single neurons.

A row z (n,) of scaled activations has the kernel K[a, b] = exp(-(z_a - z_b)²/2). It is a kernel of
one variable over a bounded range, and so nearly of low rank: K = ΦΦᵀ + E with few columns and a
tiny E. Φ comes from a pivoted Cholesky factorisation (Fine and Scheinberg 2001; Harbrecht, Peters
and Schneider 2012), which adapts to the data: an outlier costs a column, but no accuracy. Centred
over the samples, HΦ is then rotated to its principal axes, the strongest first.

What a row leaves out, tr(E) >= 0, is measured for every row, never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_FLOOR = 1e-15  # what rounding leaves of the kernel's diagonal of 1
_FEWEST_ROWS = 32  # of a group
_GROUP_VALUES = 2**18  # the most activations in a group
_SIMILAR = 1.5  # the spread of a group's rows, at most, as a multiple of the least
_STEP_BYTES = 2**18  # of rows in one step; their features should fit a processor's cache


@dataclass(frozen=True)
class Features:
    """Factors of the centred kernels of c rows: HKH is the sum over levels of φφᵀ, and HEH.

    Attributes
    ----------
    rows : (c,), which rows of the whole these are.
    levels : (r, c, n), the features φ; those of one row are orthogonal.
    weights : (c, r), their squared norms, falling along each row.
    missing : (c,), at most tr(E).
    sums : (c, n), the centred row sums HK1.
    """

    rows: np.ndarray
    levels: np.ndarray
    weights: np.ndarray
    missing: np.ndarray
    sums: np.ndarray

    @property
    def rank(self) -> int:
        """r."""
        return len(self.levels)

    @property
    def tops(self) -> np.ndarray:
        """(c,), at least the largest eigenvalue of each centred kernel."""
        return self.weights.max(axis=1, initial=0.0) + self.missing

    @property
    def squares(self) -> np.ndarray:
        """(c,), ‖HKH‖², the product of each row with itself."""
        return (self.weights**2).sum(axis=1)

    @property
    def traces(self) -> np.ndarray:
        """(c,), tr(HKH)."""
        return self.weights.sum(axis=1)

    def only(self, at: np.ndarray) -> Features:
        """The same of some of the rows (a mask)."""
        return Features(
            self.rows[at],
            self.levels[:, at],
            self.weights[at],
            self.missing[at],
            self.sums[at],
        )


def feature_groups(z: np.ndarray, tolerance: float) -> Iterator[Features]:
    """Features of the rows of z (N, n), a group of rows with similar ranks at a time.

    They leave out at most tolerance/n of a centred kernel's trace, or what rounding costs. Rows
    that would need more than 4√n features are left out.
    """
    most = int(4 * math.sqrt(z.shape[1]))
    in_order = np.sort(z, axis=1)
    # A row needs some features more than the number of intervals of σ/2 that it has samples in.
    spread = _starts(in_order, 2).sum(axis=1)
    by_spread = np.argsort(spread, kind="stable")
    group_rows = max(_FEWEST_ROWS, _GROUP_VALUES // z.shape[1])
    for rows in _groups(by_spread[spread[by_spread] <= most], spread, group_rows):
        found, reached = _features(rows, z[rows], in_order[rows], tolerance, most)
        if reached.all():
            yield found
        elif reached.any():
            yield found.only(reached)


def _groups(rows: np.ndarray, spread: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Rows in the order of their spread, parted where it has grown much, and at ``most`` rows."""
    start = 0
    while start < len(rows):
        similar = int((spread[rows[start:]] <= _SIMILAR * spread[rows[start]]).sum())
        stop = start + min(max(similar, _FEWEST_ROWS), most)
        if len(rows) - stop < _FEWEST_ROWS // 4:
            stop = len(rows)
        yield rows[start:stop]
        start = stop


def _starts(in_order: np.ndarray, cells: int) -> np.ndarray:
    """Which samples (N, n) of the sorted rows are the first in an interval of σ/cells."""
    cell = np.floor(cells * (in_order - in_order[:, :1]))
    return np.diff(cell, axis=1, prepend=-1.0) > 0


def _scattered(in_order: np.ndarray) -> np.ndarray:
    """A few samples (c, m) from all over each row: the first in every σ/8, and its ends."""
    some = _starts(in_order, 8)
    some[:, :4] = some[:, -4:] = True
    row, column = np.nonzero(some)
    counts = some.sum(axis=1)
    points = np.repeat(in_order[:, -1:], counts.max(), axis=1)
    points[row, np.arange(len(row)) - (counts.cumsum() - counts)[row]] = in_order[row, column]
    return points


def _features(
    rows: np.ndarray, z: np.ndarray, in_order: np.ndarray, tolerance: float, rank: int
) -> tuple[Features, np.ndarray]:
    """Features of z (c, n), at most ``rank`` for each row, and for which rows these are enough.

    ``in_order`` are the same rows sorted. The features of the other rows mean nothing.
    """
    count, samples = z.shape
    share = tolerance / (2 * samples)
    levels = np.empty((rank, count, samples))
    weights, missing, sums = np.zeros((count, rank)), np.zeros(count), np.zeros(z.shape)
    founds, reached = np.zeros(count, dtype=int), np.zeros(count, dtype=bool)
    step = max(1, _STEP_BYTES // (8 * samples))
    buffers = np.empty((2, step * rank * samples))  # new memory costs more than to work on it

    def fill(at: np.ndarray | slice, points: np.ndarray) -> None:
        """Features of some rows, with pivots among the points."""
        # A centred trace is about n times the variance of z, but at most n, and most samples miss
        # much less than the worst. This only says how far to go; what is left out is measured.
        floor = np.maximum(2 * share * np.minimum(z[at].var(axis=1), 1.0), _FLOOR)
        vectors = _cholesky_features(z[at], points, floor, rank, buffers)
        means = vectors.mean(axis=2)
        vectors -= means[:, :, np.newaxis]
        sums[at] = samples * (means[:, np.newaxis] @ vectors)[:, 0]
        gram = vectors @ vectors.transpose(0, 2, 1)
        traces = np.einsum("ikk->i", gram)
        missing[at] = np.abs(samples - traces - samples * (means**2).sum(axis=1))
        squared, axes = np.linalg.eigh(gram)
        found = founds[at] = vectors.shape[1]
        weights[at, :found] = np.maximum(squared[:, ::-1], 0.0)
        axes = axes[:, :, ::-1].transpose(0, 2, 1)
        if isinstance(at, slice):
            np.matmul(axes, vectors, out=levels[:found, at].transpose(1, 0, 2))
        else:
            levels[:found, at] = (axes @ vectors).transpose(1, 0, 2)
        reached[at] = missing[at] <= np.maximum(share * traces, 4 * samples * _FLOOR)

    for at in (slice(start, start + step) for start in range(0, count, step)):
        fill(at, _scattered(in_order[at]))
    # Pivots from a few samples may not reach all others: then any sample may be one.
    again = np.flatnonzero(~reached)
    for start in range(0, len(again), step):
        some = again[start : start + step]
        fill(some, in_order[some])

    tails = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
    enough = tails <= share * tails[:, :1]
    kept = int((~enough)[reached].sum(axis=1).max(initial=0))
    if kept < rank:
        missing += tails[:, kept]
    for k in range(founds.min(), kept):
        levels[k, founds <= k] = 0.0
    return Features(rows, levels[:kept], weights[:, :kept], missing, sums), reached


def _cholesky_features(
    z: np.ndarray, points: np.ndarray, floor: np.ndarray, rank: int, buffers: np.ndarray
) -> np.ndarray:
    """Features (c, r, n) of z (c, n), with pivots among points (c, m), some or all of its samples.

    The factorisation of the points' kernel chooses the pivots. Its rows at them are a triangle A,
    and the features of all samples are A⁻¹ K(pivots, samples).
    """
    factor, pivots, found = _pivoted_cholesky(points, floor, rank)
    every = np.arange(len(z))[:, np.newaxis]
    level = np.arange(factor.shape[1])
    unused = level >= found[:, np.newaxis]
    triangles = factor.transpose(0, 2, 1)[every, pivots]
    triangles[:, level, level] += unused
    inverse = np.linalg.inv(triangles)
    inverse[unused] = 0.0
    shape = (len(z), len(level), z.shape[1])
    kernel, vectors = buffers[:, : math.prod(shape)].reshape(2, *shape)
    gaussian_kernel(points[every, pivots][:, :, np.newaxis], z[:, np.newaxis, :], kernel)
    return np.matmul(inverse, kernel, out=vectors)


def _pivoted_cholesky(
    points: np.ndarray, floor: np.ndarray, rank: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factors (c, r, m) of the kernels of points (c, m), their pivots (c, r) and ranks (c,).

    Each step takes the point whose diagonal is worst approximated, until all are within floor.
    """
    count, every = len(points), np.arange(len(points))
    residual = np.ones(points.shape)
    factor = np.zeros((count, rank, points.shape[1]))
    pivots = np.zeros((count, rank), dtype=int)
    found = np.zeros(count, dtype=int)
    for k in range(rank):
        pivot = residual.argmax(axis=1)
        worst = residual[every, pivot]
        live = worst > floor
        if not live.any():
            break
        column = gaussian_kernel(points, points[every, pivot][:, np.newaxis])
        if k:
            column -= (factor[every, :k, pivot][:, np.newaxis] @ factor[:, :k])[:, 0]
        column *= np.where(live, 1 / np.sqrt(np.where(live, worst, 1.0)), 0.0)[:, np.newaxis]
        factor[:, k] = column
        residual -= column**2
        residual[every, pivot] = np.where(live, 0.0, worst)
        pivots[:, k] = pivot
        found += live
    used = int(found.max(initial=0))
    return factor[:, :used], pivots[:, :used], found


def gaussian_kernel(a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """exp(-(a - b)²/2), broadcast, in new memory or ``out``."""
    values = np.subtract(a, b, out=out)
    np.multiply(values, values, out=values)
    values *= -0.5
    return np.exp(values, out=values)
