"""HSIC on random halves of the samples, with the bandwidths of the whole.

A half is a union of groups of samples. From K - 1 (a constant changes no estimator) come the sums
Σ K[a, b]·L[a, b] over the samples a of one group and b of another, once for every pair of rows and
of groups; the sum over a half is a sum of these, and so are its kernels' row sums. Then T =
tr(KHLH) of a half and its estimators follow as in `hsic_products`, exactly, for all halves at about
the cost of one direct product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from .hsic import Bandwidth, Estimator, prepared
from .hsic_estimators import Rule
from .hsic_features import gaussian_kernel
from .hsic_products import RowSums

GROUPS = 20
"""Groups of samples, half of which make a subsample; also the fewest samples to draw from."""

_TILE_ROWS = 128  # of x and of y at a time: the sums of their groups should stay small


@dataclass(frozen=True, eq=False)
class Halves:
    """S random halves of n samples, each half of the groups that the samples fall into by chance.

    Attributes
    ----------
    order : int (n,), the samples, those of a group together.
    bounds : int (GROUPS + 1,), where in that order the groups begin and the last one ends.
    chosen : bool (S, GROUPS), the groups of each half.
    """

    order: np.ndarray
    bounds: np.ndarray
    chosen: np.ndarray

    @classmethod
    def draw(cls, samples: int, count: int, seed: int) -> Halves:
        """``count`` halves of at least `GROUPS` samples."""
        random = np.random.default_rng(seed)
        order = random.permutation(samples)
        bounds = np.arange(GROUPS + 1) * samples // GROUPS
        half = np.arange(GROUPS) < GROUPS // 2
        return cls(order, bounds, random.permuted(np.tile(half, (count, 1)), axis=1))

    def inside(self) -> np.ndarray:
        """bool (S, n): which samples, in their order here, are in each half."""
        return np.repeat(self.chosen, np.diff(self.bounds), axis=1)


def subsampled(
    x: ArrayLike,
    y: ArrayLike,
    halves: Halves,
    *,
    bandwidth: Bandwidth = "median",
    estimator: Estimator = "biased",
) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """HSIC of the rows of x (N, n) with those of y (M, n) on each half, a tile at a time.

    Yields rows of x, rows of y, and their values (S, rows of x, rows of y), float64, exact to
    rounding. Parameters and errors are those of `hsic.hsic_matrix`; σ is that of all n samples.
    """
    scaled_x, scaled_y, _, _ = prepared(x, y, bandwidth, estimator, None)
    scaled_x, scaled_y = scaled_x[:, halves.order], scaled_y[:, halves.order]
    inside = halves.inside()
    rules = [Rule.of(estimator, int(size)) for size in inside.sum(axis=1)]
    for i in _tiles(len(scaled_x)):
        for j in _tiles(len(scaled_y)):
            yield i, j, _tile(scaled_x[i], scaled_y[j], halves, inside, rules)


def _tiles(rows: int) -> list[slice]:
    return [slice(start, start + _TILE_ROWS) for start in range(0, rows, _TILE_ROWS)]


def _tile(
    x: np.ndarray, y: np.ndarray, halves: Halves, inside: np.ndarray, rules: list[Rule]
) -> np.ndarray:
    """The estimator (S, a, b) of x (a, n) and y (b, n), samples in the order of the groups."""
    first, second = np.triu_indices(len(halves.bounds) - 1)
    products = np.empty((len(first), len(x), len(y)))
    x_sums, y_sums = (np.empty((len(halves.bounds) - 1, *side.shape)) for side in (x, y))
    done = 0
    for group, start in enumerate(halves.bounds[:-1]):
        starts = halves.bounds[group:] - start
        x_kernels = _kernels(x, group, halves.bounds, x_sums)
        y_kernels = _kernels(y, group, halves.bounds, y_sums)
        for left, right in pairwise(starts):
            of_x, of_y = x_kernels[:, :, left:right], y_kernels[:, :, left:right]
            np.matmul(of_x.reshape(len(x), -1), of_y.reshape(len(y), -1).T, out=products[done])
            done += 1
    # Two different groups stand there once for K[a, b] and once for K[b, a].
    taken = (halves.chosen[:, first] & halves.chosen[:, second]) * np.where(first < second, 2.0, 1)
    total: np.ndarray = np.tensordot(taken, products, 1)
    x_halves, y_halves = (
        np.tensordot(halves.chosen.astype(np.float64), s, 1) for s in (x_sums, y_sums)
    )
    for half, rule in enumerate(rules):
        at = inside[half]
        of_xs, of_ys = _row_sums(x_halves[half][:, at]), _row_sums(y_halves[half][:, at])
        values = total[half]
        values -= (2 / at.sum()) * (of_xs.sums @ of_ys.sums.T)
        values -= np.outer(of_xs.traces, of_ys.traces)
        np.maximum(values, 0.0, out=values)
        values += rule.offset(of_xs, of_ys)
        values *= rule.scale
    return total


def _kernels(z: np.ndarray, group: int, bounds: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """K - 1 (N, samples of the group, samples from the group on) of z (N, n).

    Adds to ``sums`` (GROUPS, N, n), the sums of each row of the kernels over the samples of each
    group.
    """
    start, stop = bounds[group : group + 2]
    kernels = gaussian_kernel(z[:, start:stop, np.newaxis], z[:, np.newaxis, start:])
    kernels -= 1.0
    by_group = np.add.reduceat(kernels, bounds[group:-1] - start, axis=2)
    sums[group:, :, start:stop] = by_group.transpose(2, 0, 1)
    sums[group, :, stop:] = kernels[:, :, stop - start :].sum(axis=1)
    return kernels


def _row_sums(sums: np.ndarray) -> RowSums:
    """From the row sums (N, m) of K - 1, whose diagonal is 0."""
    means = sums.mean(axis=1, keepdims=True)
    return RowSums(sums - means, -means[:, 0])
