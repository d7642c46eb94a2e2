"""Products of the centred kernels of many neurons, without forming every kernel.

A row z (n,) of scaled activations has the Gaussian kernel K[a, b] = exp(-(z_a - z_b)²/2). What
`hsic` offers rests on the product T = tr(K H L H), H = I - 11ᵀ/n, of every row of one side with
every row of the other. There are two ways to it:

- Features (`features`, `products`). K is nearly of low rank: K = ΦΦᵀ + E with few columns and a
  tiny E. Then T = ‖ΦᵀHΨ‖², r² products of length n instead of n. Φ comes from a pivoted Cholesky
  factorisation (Fine and Scheinberg 2001; Harbrecht, Peters and Schneider 2012), which adapts to
  the data, so that an outlier costs a column and no accuracy; it is then rotated to the principal
  axes of HΦ, the strongest first, so that most of the r² products are too small to matter.
- Directly (`direct_products`): the kernels themselves, slice by slice.

What the features leave out is measured and bounded, never guessed: see `products`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

_UNIT = 2.0**-24  # relative rounding error of float32
_FLOOR = 1e-15  # what rounding leaves of the kernel's diagonal of 1
_SMALLER = 50.0  # products this much smaller are left for when more is known
_PRODUCTS = 2**22  # products of two features at a time
_STEP_BYTES = 2**22  # what one step works on: few enough for a processor's cache
_SLICE_BYTES = 2**25  # kernel values of one side at a time


@dataclass(frozen=True)
class RowSums:
    """What an estimator has to know of N rows by themselves.

    ``sums`` (N, n) are the centred row sums HK1, ``traces`` (N,) are tr(HKH).
    """

    sums: np.ndarray
    traces: np.ndarray


@dataclass(frozen=True)
class Features:
    """Low-rank factors of the centred kernels of N rows, the rows of the highest rank first.

    Attributes
    ----------
    rows : (N,), the number of each row in the array that the features were made from.
    levels : (N_0 + N_1 + ..., n); level k is the k-th feature of the first N_k rows, N_k falls with k.
    edges : (levels + 1,), where each level starts and ends.
    weights : (levels,), the largest squared norm of a feature at each level.
    missing : (N,), at most tr(E) of the kernel that is left out.
    tops, squares : (N,), the largest eigenvalue and ‖HKH‖² of each row.
    row_sums : of the N rows.
    """

    rows: np.ndarray
    levels: np.ndarray
    edges: np.ndarray
    weights: np.ndarray
    missing: np.ndarray
    tops: np.ndarray
    squares: np.ndarray
    row_sums: RowSums

    @cached_property
    def single_levels(self) -> np.ndarray:
        """The levels in float32."""
        return self.levels.astype(np.float32)


# ---- Features ----------------------------------------------------------------------------------


def features(z: np.ndarray, tolerance: float, rank: int) -> Features:
    """Features of those rows of z (N, n) that need at most ``rank`` of them.

    They leave out at most tolerance/(2n) of a centred kernel's trace (or what rounding costs).
    """
    samples = z.shape[1]
    in_order = np.sort(z, axis=1)
    few = in_order[:, _spread_ranks(samples)]
    builder = _Builder(z, tolerance, rank)
    step = max(1, _STEP_BYTES // (8 * samples * rank))
    for start in range(0, len(z), step):
        rows = np.arange(start, min(start + step, len(z)))
        # Pivots from few samples may not reach all others; then every sample may become one.
        again = builder.add(rows, few[rows])
        if len(again):
            builder.add(again, in_order[again])
    return builder.features()


def _spread_ranks(samples: int) -> np.ndarray:
    """Ranks of about 70 samples that cover a row: each one at its ends, where samples lie apart,
    fewer and fewer inwards."""
    steps = np.floor(1.3 ** np.arange(np.log(samples / 2) / np.log(1.3))).astype(int) - 1
    inner = np.linspace(0, samples - 1, 33).round().astype(int)
    return np.unique(np.concatenate([steps, samples - 1 - steps, inner]))


class _Builder:
    """Collects the features of rows, chunk by chunk, and arranges them by level."""

    def __init__(self, z: np.ndarray, tolerance: float, rank: int) -> None:
        count, samples = z.shape
        self._z, self._largest_rank = z, rank
        self._share = tolerance / (4 * samples)
        self._ranks = np.full(count, -1)
        self._missing, self._tops, self._squares, self._traces = np.zeros((4, count))
        self._weights = np.zeros(rank)
        self._sums = np.zeros(z.shape)
        self._pieces: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in range(rank)]

    def add(self, rows: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Make features of some rows with pivots among ``points`` (c, m); the rows that failed."""
        z, samples = self._z[rows], self._z.shape[1]
        # A centred trace is about n times the variance of z or, where that is large, about n. This
        # says how far to go only; what is left out is measured.
        floor = np.maximum(self._share / 2 * np.minimum(z.var(axis=1), 1.0), _FLOOR)
        vectors = _cholesky_features(z, points, floor, self._largest_rank)
        means = vectors.mean(axis=2)
        vectors -= means[:, :, np.newaxis]
        gram = vectors @ vectors.transpose(0, 2, 1)
        captured = np.einsum("ikk->i", gram) + samples * (means**2).sum(axis=1)
        weights, axes = np.linalg.eigh(gram)
        weights, axes = np.maximum(weights[:, ::-1], 0.0), axes[:, :, ::-1].transpose(0, 2, 1)

        traces = weights.sum(axis=1)
        missing = np.abs(samples - captured)
        good = missing <= np.maximum(self._share * traces, 4 * samples * _FLOOR)
        if not good.all():
            vectors, means, weights, axes = vectors[good], means[good], weights[good], axes[good]
        done = rows[good]
        vectors = axes @ vectors
        tails = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
        kept = tails > self._share * traces[good, np.newaxis]
        self._ranks[done] = kept.sum(axis=1)
        self._missing[done] = missing[good] + np.where(kept, 0.0, weights).sum(axis=1)
        self._tops[done] = weights.max(axis=1, initial=0.0)
        self._squares[done] = (weights**2).sum(axis=1)
        self._traces[done] = traces[good]
        column_sums = samples * (axes @ means[:, :, np.newaxis])
        self._sums[done] = (column_sums.transpose(0, 2, 1) @ vectors)[:, 0]
        for k in range(kept.shape[1]):
            has = kept[:, k]
            if has.any():
                self._pieces[k].append((done[has], vectors[has, k]))
                self._weights[k] = max(self._weights[k], weights[has, k].max())
        return rows[~good]

    def features(self) -> Features:
        """All that were found; the builder is used up."""
        order = np.argsort(-self._ranks, kind="stable")
        order = order[self._ranks[order] >= 0]
        place = np.empty(len(self._ranks), dtype=int)
        place[order] = np.arange(len(order))
        counts = [sum(len(rows) for rows, _ in pieces) for pieces in self._pieces]
        counts = counts[: counts.index(0)] if 0 in counts else counts
        edges = np.cumsum([0, *counts])
        levels = np.empty((edges[-1], self._z.shape[1]))
        for start, pieces in zip(edges, self._pieces, strict=False):
            for rows, vectors in pieces:
                levels[start + place[rows]] = vectors
            pieces.clear()
        return Features(
            rows=order,
            levels=levels,
            edges=edges,
            weights=self._weights[: len(counts)],
            missing=self._missing[order],
            tops=self._tops[order],
            squares=self._squares[order],
            row_sums=RowSums(self._sums[order], self._traces[order]),
        )


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
    return inverse @ _kernel(points[every, pivots][:, :, np.newaxis], z[:, np.newaxis, :])


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
        column = _kernel(points, points[every, pivot][:, np.newaxis])
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


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """exp(-(a - b)²/2), broadcast."""
    values = a - b
    np.multiply(values, values, out=values)
    values *= -0.5
    return np.exp(values, out=values)


# ---- Products ----------------------------------------------------------------------------------


def products(
    x: Features, y: Features, offset: np.ndarray, tolerance: float, largest: float
) -> tuple[np.ndarray, float]:
    """T (N, M) of the features of both sides, and a bound on what these products leave out of it.

    Products of level i with level j come in the order of w = weights_x[i]·weights_y[j], which no
    squared product exceeds (Cauchy and Schwarz). They end when all that is to come is at most half
    the tolerance, a share of the largest |T + offset| in sight (``largest`` is one that is known
    already). Before that, the rest goes on in float32 once its rounding errors are at most a
    quarter of the tolerance: they are independent and about √n·2⁻²⁴ of the product of two norms
    (Higham and Mary 2019), so 2√n·2⁻²⁴·w in a square.

    What the features themselves leave out (`Features.missing`) is not part of the bound.
    """
    weights = np.outer(x.weights, y.weights)
    order = np.argsort(-weights, axis=None, kind="stable")
    in_order = weights.ravel()[order]
    # The features of a row are orthogonal, so what a level i of x has to come, over all levels j
    # from some on, is at most w[i, j] again; and the same with x and y exchanged.
    drops = (-np.diff(weights, axis=axis, append=0.0).ravel()[order] for axis in (0, 1))
    left_out = np.append(np.minimum(*(_sums_ahead(drop) for drop in drops)), 0.0)
    samples = x.levels.shape[1]
    rounding = 2 * np.sqrt(samples) * _UNIT * np.sqrt(np.append(_sums_ahead(in_order**2), 0.0))

    total = np.zeros((len(x.rows), len(y.rows)))
    done, rounded, single = 0, 0.0, False
    while True:
        rest = float(left_out[done])
        values = total + offset
        in_sight = max(largest, float(values.max()), -float(values.min()) - rest)
        if rest <= tolerance / 2 * in_sight:
            return total, rest + rounded
        if not single and rounding[done] <= tolerance / 4 * in_sight:
            single, rounded = True, float(rounding[done])
        # On to the end as it now looks; but to where float32 will do first, and not far as long as
        # what is to come may change the largest value.
        stops = [np.searchsorted(-left_out, -tolerance / 2 * in_sight)]
        if not single:
            stops.append(np.searchsorted(-rounding, -tolerance / 4 * in_sight))
        if rest > in_sight:
            stops.append(np.searchsorted(-in_order, -in_order[done] / _SMALLER))
        stop = max(done + 1, min(*stops, len(order)))
        _add_products(total, x, y, order[done:stop], single)
        done = stop


def _add_products(
    total: np.ndarray, x: Features, y: Features, pairs: np.ndarray, single: bool
) -> None:
    """Add the squared products of some pairs of levels, numbered i·(levels of y) + j.

    Those of one level of x are with levels of y that follow each other: one product for all.
    """
    x_levels, y_levels = (side.single_levels if single else side.levels for side in (x, y))
    part = np.zeros(total.shape, dtype=x_levels.dtype)
    i, j = np.divmod(pairs, len(y.weights))
    for level in np.unique(i):
        a = x_levels[x.edges[level] : x.edges[level + 1]]
        start, last = j[i == level].min(), j[i == level].max() + 1
        while start < last:
            room = y.edges[start] + max(_PRODUCTS // len(a), y.edges[start + 1] - y.edges[start])
            stop = min(int(np.searchsorted(y.edges, room, side="right")) - 1, last)
            edges = y.edges[start : stop + 1] - y.edges[start]
            squares = a @ y_levels[y.edges[start] : y.edges[stop]].T
            np.multiply(squares, squares, out=squares)
            for left, right in pairwise(edges):
                part[: len(a), : right - left] += squares[:, left:right]
            start = stop
    total += part


def _sums_ahead(values: np.ndarray) -> np.ndarray:
    """At each place, the sum of the values from there on."""
    return np.cumsum(values[::-1])[::-1]


def direct_products(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, RowSums, RowSums]:
    """T (N, M) of rows x (N, n) and y (M, n) from their kernels, and the sums of both sides."""
    samples = x.shape[1]
    total = np.zeros((len(x), len(y)))
    x_sums, y_sums = np.zeros(x.shape), np.zeros(y.shape)
    for band in _bands(max(len(x), len(y)), samples):
        x_kernel, y_kernel = _kernel_slice(x, band, x_sums), _kernel_slice(y, band, y_sums)
        total += x_kernel.reshape(len(x), -1) @ y_kernel.reshape(len(y), -1).T
    x_rows, y_rows = _row_sums(x_sums), _row_sums(y_sums)
    total -= (2 / samples) * (x_rows.sums @ y_rows.sums.T)
    total -= np.outer(x_rows.traces, y_rows.traces)
    return np.maximum(total, 0.0, out=total), x_rows, y_rows


def direct_squares(z: np.ndarray) -> tuple[np.ndarray, RowSums]:
    """‖HKH‖² (N,) of rows z (N, n), the product of each with itself, and their sums."""
    samples = z.shape[1]
    squares, sums = np.zeros(len(z)), np.zeros(z.shape)
    for band in _bands(len(z), samples):
        kernel = _kernel_slice(z, band, sums)
        squares += np.einsum("iab,iab->i", kernel, kernel)
    rows = _row_sums(sums)
    squares -= (2 / samples) * np.einsum("in,in->i", rows.sums, rows.sums) + rows.traces**2
    return np.maximum(squares, 0.0, out=squares), rows


def _bands(rows: int, samples: int) -> Iterator[tuple[int, int]]:
    """Ranges of samples, so few at a time that the kernels of all rows fit the slice."""
    start = 0
    while start < samples:
        width = _SLICE_BYTES // (8 * rows * (samples - start))
        stop = min(start + max(1, width), samples)
        yield start, stop
        start = stop


def _kernel_slice(z: np.ndarray, band: tuple[int, int], sums: np.ndarray) -> np.ndarray:
    """K - 1 at [band, from the band on], adding to the row sums; (N, band, rest).

    T does not change when a constant is taken from a kernel, and 1 leaves small numbers where the
    kernel is nearly flat. What stands outside the band's square is there for its mirror image too,
    hence scaled by √2, which the product of two slices squares.
    """
    start, stop = band
    kernel = _kernel(z[:, start:stop, np.newaxis], z[:, np.newaxis, start:])
    kernel -= 1.0
    outside = kernel[:, :, stop - start :]
    sums[:, start:stop] += kernel.sum(axis=2)
    sums[:, stop:] += outside.sum(axis=1)
    outside *= np.sqrt(2.0)
    return kernel


def _row_sums(sums: np.ndarray) -> RowSums:
    """From the row sums (N, n) of K - 1."""
    means = sums.mean(axis=1, keepdims=True)
    return RowSums(sums - means, -means[:, 0])
