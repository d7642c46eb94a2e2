"""The product T = tr(K H L H) of the kernels of all rows of one side with all of the other.

By features (`hsic_features`), T = ‖ΦᵀHΨ‖²: r² products of length n instead of n, and most of the
r² are too small to matter (`feature_products`). Or directly, from the kernels (`direct_products`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from bridgex_core.hsic_features import Features, gaussian_kernel

_UNIT = 2.0**-24  # relative rounding error of float32
_SMALLER = 50.0  # products this much smaller are left for when more is known
_SLICE_BYTES = 2**22  # kernel values of one side at a time: few enough for a processor's cache


@dataclass(frozen=True)
class RowSums:
    """What estimators know of N rows by themselves: sums (N, n) HK1, traces (N,) tr(HKH)."""

    sums: np.ndarray
    traces: np.ndarray


# ---- By features -------------------------------------------------------------------------------


def faster_by_features(x: Features, y: Features) -> bool:
    """Whether features take less time than kernels for two groups, by counting operations.

    Of r·s products of length n for each pair of rows, features take about half, and most of them
    in float32; kernels take n²/2, by symmetry, besides n²/2 values of each row's kernel, each of
    which costs as much as 250 operations of a matrix product.
    """
    samples, c, d = x.levels.shape[2], len(x.rows), len(y.rows)
    return x.rank * y.rank <= 1.5 * samples * (1 + 125 / c + 125 / d)


def feature_products(
    x: Features,
    y: Features,
    offset: np.ndarray | float,
    tolerance: float,
    largest: float,
    missed: float,
) -> tuple[np.ndarray, float]:
    """T (c, d) of the features of two groups, and a bound on its error.

    The error allowed is ``tolerance`` times the largest |T + offset|, of which ``missed`` is taken
    up by what the features miss themselves; ``largest`` is a value that is known already. Products
    of level i of x with level j of y come in the order of w = (the largest weight of i)·(the
    largest of j), which no squared product exceeds (Cauchy and Schwarz), and end when all that is
    left out is within what is allowed. Before that, they go on in float32 once its rounding errors
    are within a quarter of it: these are independent and about √n·2⁻²⁴ of the product of two norms
    (Higham and Mary 2019), so 2√n·2⁻²⁴·w in a square.
    """
    total = np.zeros((len(x.rows), len(y.rows)))
    todo = np.ones((x.rank, y.rank), dtype=bool)
    rounded, single, allowed = 0.0, False, 0.0
    noise = 2 * np.sqrt(x.levels.shape[2]) * _UNIT
    while True:
        plan = _Plan.of(x, y, todo, allowed / 16)
        rest = float(plan.left_out[0])
        values = total + offset
        in_sight: float = max(largest, float(values.max()), -float(values.min()) - rest)
        allowed = max(tolerance * in_sight - missed, 0.0)
        if rest + rounded <= allowed or not len(plan.pairs):
            return total, rest + rounded + missed
        rounding = noise * plan.root_squares
        if not single and rounding[0] <= allowed / 4:
            single, rounded = True, float(rounding[0])
        # On to the end as it now looks; but to where float32 will do first, and not far as long as
        # what is to come may change the largest value.
        stops = [_first(plan.left_out, allowed - rounded)]
        if not single:
            stops += [_first(plan.left_out, allowed * 0.75), _first(rounding, allowed / 4)]
        if rest > in_sight:
            stops.append(_first(plan.sizes, plan.sizes[0] / _SMALLER))
        now = plan.pairs[: max(1, min(stops))]
        total += _some_products(x, y, now, np.float32 if single else np.float64)
        todo.ravel()[now] = False


@dataclass(frozen=True)
class _Plan:
    """The pairs of levels still to be multiplied, the largest first.

    ``pairs`` are numbered i·(rank of y) + j, ``sizes`` are the bounds w of their squares;
    ``left_out`` bounds what is left out, and ``root_squares`` is √Σw², if the work ends before each
    of the pairs, or after all.
    """

    pairs: np.ndarray
    sizes: np.ndarray
    left_out: np.ndarray
    root_squares: np.ndarray

    @classmethod
    def of(cls, x: Features, y: Features, todo: np.ndarray, cut: float) -> _Plan:
        """Levels whose weights, from some level on, add up to at most ``cut`` are left out."""
        x_top, y_top = x.tops.max(), y.tops.max()
        x_weights, x_cut = _weights(x, cut / y_top if y_top else 0.0)
        y_weights, y_cut = _weights(y, cut / x_top if x_top else 0.0)
        weights = np.outer(x_weights, y_weights)
        pairs = np.argsort(-weights, axis=None, kind="stable")
        pairs = pairs[(todo & (weights > 0)).ravel()[pairs]]
        sizes = weights.ravel()[pairs]
        # The features of a row are orthogonal: what a level has to come, with all levels from some
        # on of the other side, is at most its w with the first of these. So each pair takes off the
        # difference to the next, seen from either side.
        drops = (-np.diff(weights, axis=axis, append=0.0).ravel()[pairs] for axis in (0, 1))
        ahead = np.minimum(*(_sums_ahead(drop) for drop in drops))
        root_squares = np.sqrt(_sums_ahead(sizes**2))
        return cls(pairs, sizes, ahead + x_cut * y_top + y_cut * x_top, root_squares)


def _weights(side: Features, cut: float) -> tuple[np.ndarray, float]:
    """The largest weight at each level (r,), and how much of a row is left out, at most ``cut``."""
    tails = np.cumsum(side.weights[:, ::-1], axis=1)[:, ::-1]
    used = tails > cut
    left_out = float(np.where(used, 0.0, tails).max(initial=0.0))
    return np.where(used, side.weights, 0.0).max(axis=0), left_out


def _first(falling: np.ndarray, limit: float) -> int:
    """The first place of a falling sequence where it is within a limit."""
    return int(np.searchsorted(-falling, -limit))


def _sums_ahead(values: np.ndarray) -> np.ndarray:
    """At each place and after the last, the sum of the values from there on."""
    return np.append(np.cumsum(values[::-1])[::-1], 0.0)


def _some_products(x: Features, y: Features, pairs: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """Sum (c, d) of the squared products of some pairs of levels, as `_Plan` numbers them.

    Those of one level of x are with levels of y that follow each other: one product for all.
    """
    i, j = np.divmod(pairs, y.rank)
    count, samples = len(y.rows), y.levels.shape[2]
    x_levels: np.ndarray = x.levels[: i.max() + 1].astype(dtype, copy=False)
    y_levels: np.ndarray = y.levels[: j.max() + 1].astype(dtype, copy=False).reshape(-1, samples)
    total: np.ndarray = np.zeros((len(x.rows), count), dtype=dtype)
    buffer: np.ndarray = np.empty(total.size * int(j.max() + 1), dtype=dtype)
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
