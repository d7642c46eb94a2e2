"""The product T = tr(K H L H) of the kernels of all rows of one side with all of the other.

By features (`hsic_features`), T = ‖ΦᵀHΨ‖²: r² products of length n instead of n, and most of the
r² are too small to matter (`feature_products`). Or directly, from the kernels (`direct_products`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bridgex_core.hsic_features import Features, gaussian_kernel

_UNIT = 2.0**-24  # relative rounding error of float32
_SMALLER = 50.0  # products this much smaller are left for when more is known
_SLICE_BYTES = 2**25  # kernel values of one side at a time


@dataclass(frozen=True)
class RowSums:
    """What estimators know of N rows by themselves: sums (N, n) HK1, traces (N,) tr(HKH)."""

    sums: np.ndarray
    traces: np.ndarray


# ---- By features -------------------------------------------------------------------------------


def feature_products(
    x: Features, y: Features, offset: np.ndarray | float, tolerance: float, largest: float
) -> tuple[np.ndarray, float]:
    """T (c, d) of the features of two groups, and a bound on the error of it.

    Products of level i with level j come in the order of w = (the largest weight of i)·(the largest
    of j), which no squared product exceeds (Cauchy and Schwarz). They end when all that is to come
    is within half the tolerance, which is a share of the largest |T + offset| in sight; ``largest``
    is one that is known already. Before that, the rest goes on in float32 once its rounding errors
    are within a quarter of the tolerance: they are independent and about √n·2⁻²⁴ of the product of
    two norms (Higham and Mary 2019), so 2√n·2⁻²⁴·w in a square.

    The bound does not hold what the features miss themselves (`Features.missing`).
    """
    cut = tolerance / 16 * largest
    x_weights, x_cut = _weights(x, cut / max(y.tops.max(), 1e-300))
    y_weights, y_cut = _weights(y, cut / max(x.tops.max(), 1e-300))
    weights = np.outer(x_weights, y_weights)
    order = np.argsort(-weights, axis=None, kind="stable")
    in_order = weights.ravel()[order]
    # The features of a row are orthogonal: what one level has to come, with all levels from some on
    # of the other side, is at most its w with the first of these. So each step takes off the
    # difference to the next, seen from either side.
    drops = (-np.diff(weights, axis=axis, append=0.0).ravel()[order] for axis in (0, 1))
    left_out = np.append(np.minimum(*(_sums_ahead(drop) for drop in drops)), 0.0)
    left_out += x_cut * y.tops.max() + y_cut * x.tops.max()
    samples = x.levels.shape[2]
    rounding = 2 * np.sqrt(samples) * _UNIT * np.sqrt(np.append(_sums_ahead(in_order**2), 0.0))

    total = np.zeros((len(x.rows), len(y.rows)))
    done, rounded, single = 0, 0.0, False
    while True:
        rest = float(left_out[done])
        values = total + offset
        in_sight = max(largest, float(values.max()), -float(values.min()) - rest)
        if rest <= tolerance / 2 * in_sight or done == len(order):
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
        stop = min(max(done + 1, min(stops)), len(order))
        dtype = np.float32 if single else np.float64
        total += _some_products(x, y, order[done:stop], len(y_weights), dtype)
        done = stop


def _weights(side: Features, cut: float) -> tuple[np.ndarray, float]:
    """The largest weight at each level, and how much of any row's is left out, at most ``cut``."""
    tails = np.cumsum(side.weights[:, ::-1], axis=1)[:, ::-1]
    used = tails > cut
    left_out = np.where(used, 0.0, tails).max(initial=0.0)
    weights = np.where(used, side.weights, 0.0).max(axis=0, initial=0.0)
    return weights[weights > 0], float(left_out)


def _sums_ahead(values: np.ndarray) -> np.ndarray:
    """At each place, the sum of the values from there on."""
    return np.cumsum(values[::-1])[::-1]


def _some_products(
    x: Features, y: Features, pairs: np.ndarray, y_rank: int, dtype: type
) -> np.ndarray:
    """Sum (c, d) of the squared products of some pairs of levels, numbered i·y_rank + j.

    Those of one level of x are with levels of y that follow each other: one product for all.
    """
    i, j = np.divmod(pairs, y_rank)
    count, samples = len(y.rows), y.levels.shape[2]
    x_levels = x.levels[: i.max() + 1].astype(dtype, copy=False)
    y_levels = y.levels[: j.max() + 1].reshape(-1, samples).astype(dtype, copy=False)
    total = np.zeros((len(x.rows), count), dtype=dtype)
    buffer = np.empty(total.size * (j.max() + 1), dtype=dtype)
    for level in np.unique(i):
        start, stop = j[i == level].min(), j[i == level].max() + 1
        squares = buffer[: total.size * (stop - start)].reshape(len(total), -1)
        np.matmul(x_levels[level], y_levels[start * count : stop * count].T, out=squares)
        np.multiply(squares, squares, out=squares)
        for left in range(0, squares.shape[1], count):
            total += squares[:, left : left + count]
    return total


# ---- Directly ----------------------------------------------------------------------------------


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
    kernel = gaussian_kernel(z[:, start:stop, np.newaxis], z[:, np.newaxis, start:])
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
