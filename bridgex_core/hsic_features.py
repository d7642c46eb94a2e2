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

from bridgex_core.threads import in_threads

_FLOOR = 1e-15  # what rounding leaves of the kernel's diagonal of 1
_GROUP_ROWS = 128
_STEP_BYTES = 2**22  # what one step works on: few enough for a processor's cache


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
    """Features of the rows of z (N, n), a group of similar rows at a time.

    They leave out at most tolerance/(2n) of a centred kernel's trace, or what rounding costs. Rows
    that would need more than 4√n features are left out.
    """
    samples = z.shape[1]
    in_order = np.sort(z, axis=1)
    # A row is spread over so many intervals of σ; each of them takes a feature at least.
    spread = (np.diff(np.floor(in_order), axis=1) > 0).sum(axis=1) + 1
    most = int(4 * math.sqrt(samples))
    worthwhile = np.flatnonzero(spread <= most)
    worthwhile = worthwhile[np.argsort(spread[worthwhile], kind="stable")]

    again: list[np.ndarray] = []
    few = in_order[:, _spread_ranks(samples)]
    yield from _tried(z, few, worthwhile, tolerance, int(1.3 * math.sqrt(samples)), again)
    # Pivots from few samples may not reach all others: then every sample may become one.
    rows = np.concatenate([np.zeros(0, dtype=int), *again])
    yield from _tried(z, in_order, rows, tolerance, most, [])


def _tried(
    z: np.ndarray,
    points: np.ndarray,
    rows: np.ndarray,
    tolerance: float,
    rank: int,
    failed: list[np.ndarray],
) -> Iterator[Features]:
    """Features of some rows, a group at a time; adds to ``failed`` those that need more."""
    if len(rows):
        for group in np.array_split(rows, -(-len(rows) // _GROUP_ROWS)):
            found, reached = _features(group, z[group], points[group], tolerance, rank)
            failed.append(group[~reached])
            if reached.any():
                yield found if reached.all() else found.only(reached)


def _spread_ranks(samples: int) -> np.ndarray:
    """Ranks of about 70 samples that cover a row: each one at its ends, where samples lie apart,
    fewer and fewer inwards."""
    steps = np.floor(1.3 ** np.arange(np.log(samples / 2) / np.log(1.3))).astype(int) - 1
    inner = np.linspace(0, samples - 1, 33).round().astype(int)
    return np.unique(np.concatenate([steps, samples - 1 - steps, inner]))


def _features(
    rows: np.ndarray, z: np.ndarray, points: np.ndarray, tolerance: float, rank: int
) -> tuple[Features, np.ndarray]:
    """Features of z (c, n), at most ``rank`` each, with pivots among points (c, m).

    The second result tells the rows for which they are enough; the others' mean nothing.
    """
    count, samples = z.shape
    levels = np.empty((rank, count, samples))
    weights, missing, sums = np.zeros((count, rank)), np.zeros(count), np.zeros(z.shape)
    share = tolerance / (4 * samples)
    # A centred trace is about n times the variance of z or, where that is large, about n. This
    # says how far to go only; what is left out is measured.
    floor = np.maximum(share / 2 * np.minimum(z.var(axis=1), 1.0), _FLOOR)

    def work(at: slice) -> int:
        vectors = _cholesky_features(z[at], points[at], floor[at], rank)
        found = vectors.shape[1]
        means = vectors.mean(axis=2)
        vectors -= means[:, :, np.newaxis]
        gram = vectors @ vectors.transpose(0, 2, 1)
        norms = np.einsum("ikk->i", gram) + samples * (means**2).sum(axis=1)
        missing[at] = np.abs(samples - norms)
        squared, axes = np.linalg.eigh(gram)
        axes = axes[:, :, ::-1].transpose(0, 2, 1)
        weights[at, :found] = np.maximum(squared[:, ::-1], 0.0)
        sums[at] = samples * (means[:, np.newaxis] @ vectors)[:, 0]
        np.matmul(axes, vectors, out=levels[:found, at].transpose(1, 0, 2))
        return found

    step = max(1, _STEP_BYTES // (8 * samples * rank))
    steps = [slice(start, start + step) for start in range(0, count, step)]
    founds = in_threads(work, steps)

    traces = weights.sum(axis=1)
    reached = missing <= np.maximum(share * traces, 4 * samples * _FLOOR)
    tails = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
    kept = int((tails > share * traces[:, np.newaxis])[reached].sum(axis=1).max(initial=0))
    if kept < rank:
        missing += tails[:, kept]
    for at, found in zip(steps, founds, strict=True):
        levels[found:kept, at] = 0.0
    return Features(rows, levels[:kept], weights[:, :kept], missing, sums), reached


def _cholesky_features(
    z: np.ndarray, points: np.ndarray, floor: np.ndarray, rank: int
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
    return inverse @ gaussian_kernel(points[every, pivots][:, :, np.newaxis], z[:, np.newaxis, :])


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


def gaussian_kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """exp(-(a - b)²/2), broadcast."""
    values = a - b
    np.multiply(values, values, out=values)
    values *= -0.5
    return np.exp(values, out=values)
