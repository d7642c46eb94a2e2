"""HSIC estimators for all rows of one side with all rows of the other, a block at a time.

Which way a block goes, by features or by the kernels themselves, is decided here: by the time that
either takes, and by whether the features' error is within the tolerance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from bridgex_core.hsic_features import Features, feature_groups
from bridgex_core.hsic_products import (
    RowSums,
    direct_products,
    direct_squares,
    faster_by_features,
    feature_products,
)

FEWEST_FOR_FEATURES = 128
"""Samples below which kernels are always multiplied directly, for they are small and typical rows
need 15 to 25 features. From there on, groups of rows are multiplied by features where these take
less time (`hsic_products.faster_by_features`) and are accurate enough, and directly elsewhere."""

Group = Features | np.ndarray
"""Rows with features, or by their numbers alone."""

_BATCH_BYTES = 320 * 2**20  # of features of one side at a time
_TILE_ROWS = 1024  # multiplied directly at a time


@dataclass(frozen=True)
class Rule:
    """An estimator as scale·(T + cross·kᵀl + own·cd)."""

    scale: float
    cross: float = 0.0
    own: float = 0.0

    @classmethod
    def of(cls, estimator: str, samples: int) -> Rule:
        n = samples
        if estimator == "biased":
            return cls(1 / (n - 1) ** 2)
        if estimator == "unbiased":
            return cls(1 / (n * (n - 3)), -4 / (n * (n - 2)), -1 / (n - 1))
        return cls(1.0, 1 / n)

    def offset(self, x: Features | RowSums, y: Features | RowSums) -> np.ndarray | float:
        """What is added to T (N, M)."""
        offset = self.own * np.outer(x.traces, y.traces) if self.own else 0.0
        return offset + self.cross * (x.sums @ y.sums.T) if self.cross else offset

    def diagonal(self, squares: np.ndarray, rows: Features | RowSums) -> np.ndarray:
        """T + offset of each row with itself (N,), from its T."""
        if self.cross:
            squares = squares + self.cross * np.einsum("in,in->i", rows.sums, rows.sums)
        return squares + self.own * rows.traces**2

    def error(self, x: Features, y: Features) -> float:
        """Bound on what the parts that features miss change in T + offset.

        For E missing from K, and λ the largest eigenvalue of HLH: tr(E HLH) ≤ tr(E)·λ,
        |1ᵀEHL1| ≤ tr(E)·√n · n·√λ, and tr(HEH) ≤ tr(E).
        """
        n = x.levels.shape[2]

        def reach(side: Features) -> float:
            cross = abs(self.cross) * n * np.sqrt(n * side.tops)
            return float((side.tops + cross + abs(self.own) * side.traces).max())

        return float(x.missing.max()) * reach(y) + float(y.missing.max()) * reach(x)


# ---- Groups of rows ----------------------------------------------------------------------------


def values_of(x: np.ndarray, y: np.ndarray, rule: Rule, tolerance: float) -> np.ndarray:
    """The estimator for scaled rows (N, n) and (M, n)."""
    values = np.zeros((len(x), len(y)))
    largest = 0.0
    for x_groups in _batches(x, tolerance):
        for y_groups in _batches(y, tolerance):
            for of_x, of_y in product(x_groups, y_groups):
                block = _block(x, y, of_x, of_y, rule, tolerance, largest)
                values[np.ix_(_rows_of(of_x), _rows_of(of_y))] = block
                largest = max(largest, float(np.abs(block).max()))
    return values * rule.scale


def _batches(z: np.ndarray, tolerance: float) -> Iterator[list[Group]]:
    """Groups of rows, with features or by their numbers alone, as many as memory is given to."""
    batch: list[Group] = []
    taken = 0
    for group in _groups(z, tolerance):
        size = group.levels.nbytes if isinstance(group, Features) else 0
        if batch and taken + size > _BATCH_BYTES:
            yield batch
            batch, taken = [], 0
        batch.append(group)
        taken += size
    if batch:
        yield batch


def _groups(z: np.ndarray, tolerance: float) -> Iterator[Group]:
    """Features of rows, and the numbers of those that are better multiplied directly."""
    direct = np.arange(len(z))
    if z.shape[1] >= FEWEST_FOR_FEATURES:
        for group in feature_groups(z, tolerance):
            direct = np.setdiff1d(direct, group.rows)
            yield group
    for start in range(0, len(direct), _TILE_ROWS):
        yield direct[start : start + _TILE_ROWS]


def _rows_of(group: Group) -> np.ndarray:
    return group.rows if isinstance(group, Features) else group


def _block(
    x: np.ndarray,
    y: np.ndarray,
    of_x: Group,
    of_y: Group,
    rule: Rule,
    tolerance: float,
    largest: float,
) -> np.ndarray:
    """T + offset of two groups: by features, if that is faster and accurate enough."""
    if isinstance(of_x, Features) and isinstance(of_y, Features) and faster_by_features(of_x, of_y):
        offset = rule.offset(of_x, of_y)
        missed = rule.error(of_x, of_y)
        values, error = feature_products(of_x, of_y, offset, tolerance, largest, missed)
        values += offset
        if error <= tolerance * max(largest, float(np.abs(values).max())):
            return values
    values, x_sums, y_sums = direct_products(x[_rows_of(of_x)], y[_rows_of(of_y)])
    return values + rule.offset(x_sums, y_sums)


def own_values(z: np.ndarray, rule: Rule, tolerance: float) -> np.ndarray:
    """The estimator of each scaled row with itself, (N,); at least 0."""
    values = np.zeros(len(z))
    for group in _groups(z, tolerance):
        if isinstance(group, Features):
            values[group.rows] = rule.diagonal(group.squares, group)
        else:
            values[group] = rule.diagonal(*direct_squares(z[group]))
    return np.maximum(values * rule.scale, 0.0)
