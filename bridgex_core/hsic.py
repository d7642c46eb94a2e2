"""The Hilbert-Schmidt independence criterion (HSIC) of every pair of neurons.

Rows are neurons and columns are samples (prompts): x (N, n) and y (M, n) over the same n samples.
A pair of rows has Gaussian kernels K[a, b] = exp(-(x_a - x_b)²/2σ²) and L, and with H = I - 11ᵀ/n

- ``biased`` = tr(KHLH)/(n-1)² (Gretton et al. 2005), the default;
- ``unbiased`` (Song et al. 2012) = [tr(K̃L̃) + (1ᵀK̃1)(1ᵀL̃1)/((n-1)(n-2)) - 2/(n-2)·1ᵀK̃L̃1] / (n(n-3)),
  with K̃ and L̃ the kernels with a diagonal of zeros;
- ``released`` = tr(KHL), as the code that came with the paper has it: centred on one side only and
  not divided by anything.

All three are T = tr(KHLH) and terms of each row alone. With c = tr(HKH), d = tr(HLH), k = HK1 and
l = HL1, released is T + kᵀl/n and unbiased is [T - 4kᵀl/(n(n-2)) - cd/(n-1)]/(n(n-3)).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from bridgex_core.errors import InputError
from bridgex_core.hsic_bandwidth import median_bandwidth, released_bandwidth
from bridgex_core.hsic_features import Features, feature_groups
from bridgex_core.hsic_products import RowSums, direct_products, direct_squares, feature_products

Estimator = Literal["biased", "unbiased", "released"]
Bandwidth = Literal["median", "released"] | float

TOLERANCE = 1e-8
"""Error allowed by default, as a share of the largest value of the matrix."""

SINGLE_TOLERANCE = 1e-6
"""The same if both inputs come in single or half precision."""

FEWEST_FOR_FEATURES = 256
"""Samples below which kernels are multiplied directly: they are small, and features of typical rows
(rank 15 to 25) would save little. From there on, rows of ranks r and s are multiplied directly if
r·s > 2n, because that takes less time for them."""

_BATCH_BYTES = 400 * 2**20  # of features of one side at a time
_TILE_ROWS = 1024  # multiplied directly at a time
_PERMUTED_BYTES = 2**25
_NO_WEIGHT = 1e-14  # of an eigenvalue, for each sample: mere rounding
_LARGEST_SCALED = 1e150  # its square is still a number


@dataclass(frozen=True)
class _Rule:
    """An estimator as scale·(T + cross·kᵀl + own·cd)."""

    scale: float
    cross: float = 0.0
    own: float = 0.0

    @classmethod
    def of(cls, estimator: str, samples: int) -> _Rule:
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


def hsic_matrix(
    x: ArrayLike,
    y: ArrayLike,
    *,
    bandwidth: Bandwidth = "median",
    estimator: Estimator = "biased",
    tolerance: float | None = None,
) -> np.ndarray:
    """HSIC of every row of x (N, n) with every row of y (M, n), as (N, M) float64.

    Parameters
    ----------
    x, y : finite numbers, n >= 2 samples (n >= 4 for ``unbiased``). Rows are taken as they are:
        see `standardise`. A constant row gives 0.
    bandwidth : σ. ``median`` is each row's own median of |x_a - x_b|, a ≠ b (of those that are not
        0, where it is 0), so that shifting and scaling a row changes nothing. A positive number
        stands for all rows. ``released`` is one number for all rows of x and y together,
        `released_bandwidth`: at about √(2n) for standardised rows it leaves a nearly flat kernel.
    estimator : ``biased``, ``unbiased`` or ``released``, see the module.
    tolerance : the error allowed, between 0 and 1, as a share of the result's largest absolute value.
        By default 1e-8, or 1e-6 where neither input has more than single precision.

    From 256 samples on, kernels are replaced by low-rank features. What these leave out is bounded
    as they are made and used, and whatever cannot be bounded within the tolerance is computed from
    the full kernels, so that the tolerance holds for outliers and ties too.

    >>> hsic_matrix([[0, 1, 2, 3]], [[0, 1, 2, 3], [5, 5, 5, 5]]).round(4)
    array([[0.1285, 0.    ]])
    """
    tolerance = _tolerance(tolerance, x, y)
    x, y = _rows(x, "x"), _rows(y, "y")
    _check(x, y, estimator)
    x, y = _scaled(x, y, bandwidth)
    return _values(x, y, _Rule.of(estimator, x.shape[1]), tolerance)


def cka_matrix(
    x: ArrayLike,
    y: ArrayLike,
    *,
    bandwidth: Bandwidth = "median",
    estimator: Estimator = "biased",
    tolerance: float | None = None,
) -> np.ndarray:
    """Normalised HSIC, HSIC(x, y)/√(HSIC(x, x)·HSIC(y, y)), as (N, M) (Kornblith et al. 2019).

    ``biased`` is in 0 to 1, and 1 for a row with itself. Where a row has no positive HSIC with
    itself (a constant row) it is 0. Parameters as for `hsic_matrix`; the tolerance is that of the
    numerator.
    """
    tolerance = _tolerance(tolerance, x, y)
    x, y = _rows(x, "x"), _rows(y, "y")
    _check(x, y, estimator)
    x, y = _scaled(x, y, bandwidth)
    rule = _Rule.of(estimator, x.shape[1])
    values = _values(x, y, rule, tolerance)
    own = np.sqrt(np.outer(_own_values(x, rule, tolerance), _own_values(y, rule, tolerance)))
    values = np.divide(values, own, out=np.zeros_like(values), where=own > 0)
    return np.clip(values, 0.0, 1.0) if estimator == "biased" else values


@dataclass(frozen=True, eq=False)
class PermutationTest:
    """Whether two neurons depend on each other.

    Attributes
    ----------
    hsic : biased HSIC of the two rows.
    null : (permutations,), the same with the samples of one row permuted.
    p_value : (1 + #{null >= hsic})/(1 + permutations), in (0, 1].
    """

    hsic: float
    null: np.ndarray
    p_value: float


def permutation_test(
    x_row: ArrayLike,
    y_row: ArrayLike,
    *,
    permutations: int = 999,
    seed: int = 0,
    bandwidth: Bandwidth = "median",
) -> PermutationTest:
    """Test the independence of two rows (n,) by permuting the samples of the second.

    A permuted value within 1e-9 of the HSIC, relative, counts as reaching it, since rows with few
    distinct values give the same HSIC again and again. A constant row has the p-value 1.
    """
    if permutations < 1:
        raise InputError(
            f"A permutation test needs at least one permutation, but {permutations} were asked for."
        )
    x, y = _rows(np.asarray(x_row)[np.newaxis], "x"), _rows(np.asarray(y_row)[np.newaxis], "y")
    _check(x, y, "biased")
    samples = x.shape[1]
    x, y = (_factor(z) for z in _scaled(x, y, bandwidth))
    scale = _Rule.of("biased", samples).scale
    hsic = scale * float(((x @ y.T) ** 2).sum())

    random = np.random.default_rng(seed)
    null = np.empty(permutations)
    step = max(1, _PERMUTED_BYTES // (8 * max(len(y), 1) * samples))
    for start in range(0, permutations, step):
        part = null[start : start + step]
        orders = random.permuted(np.tile(np.arange(samples), (len(part), 1)), axis=1)
        crossed = y[:, orders] @ x.T  # (y features, part, x features)
        part[:] = scale * np.einsum("jpi,jpi->p", crossed, crossed)
    reached = int((null >= hsic * (1 - 1e-9)).sum())
    return PermutationTest(hsic, null, (1 + reached) / (1 + permutations))


def set_similarity(matrix: ArrayLike) -> float:
    """Similarity of two neuron sets from the HSIC (N, M) of their neurons, N and M >= 1.

    (mean over rows of the row's maximum + mean over columns of the column's maximum)/2.

    >>> set_similarity([[1, 2], [3, 0]])
    2.5
    """
    values = _rows(matrix, "matrix")
    if not values.size:
        raise InputError("A similarity of two neuron sets needs at least one neuron in each.")
    return float(values.max(axis=1).mean() + values.max(axis=0).mean()) / 2


def standardise(x: ArrayLike) -> np.ndarray:
    """Rows of x (N, n) with zero mean and unit (population) standard deviation; constant ones 0.

    >>> standardise([[1, 3], [7, 7]])
    array([[-1.,  1.],
           [ 0.,  0.]])
    """
    x = _rows(x, "x")
    if not x.size:
        return x
    changes = x.min(axis=1) < x.max(axis=1)
    x = x - x.mean(axis=1, keepdims=True)
    x[~changes] = 0.0
    return x / np.where(changes, x.std(axis=1), 1.0)[:, np.newaxis]


# ---- Input -------------------------------------------------------------------------------------


def _rows(x: ArrayLike, name: str) -> np.ndarray:
    values = np.asarray(x)
    if values.ndim != 2:
        raise InputError(
            f"HSIC takes one row a neuron and one column a sample, but {name} has the shape "
            f"{values.shape}: give a two-dimensional array."
        )
    if values.dtype.kind not in "biuf":
        raise InputError(f"HSIC takes numbers, but {name} holds {values.dtype} values.")
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError(
            f"{name} holds values that are not finite: drop the samples or neurons with NaN or "
            f"infinity first."
        )
    return values


def _check(x: np.ndarray, y: np.ndarray, estimator: str) -> None:
    if estimator not in get_args(Estimator):
        raise InputError(
            f"There is no HSIC estimator {estimator!r}: use {', '.join(get_args(Estimator))}."
        )
    if x.shape[1] != y.shape[1]:
        raise InputError(
            f"HSIC compares neurons over the same samples, but x has {x.shape[1]} columns and y "
            f"has {y.shape[1]}: record both on the same prompts."
        )
    fewest = 4 if estimator == "unbiased" else 2
    if x.shape[1] < fewest:
        raise InputError(
            f"The {estimator} HSIC needs at least {fewest} samples, but there are {x.shape[1]}: "
            f"add prompts."
        )


def _tolerance(tolerance: float | None, x: ArrayLike, y: ArrayLike) -> float:
    if tolerance is None:
        single = np.result_type(np.asarray(x), np.asarray(y)) in (np.float32, np.float16)
        return SINGLE_TOLERANCE if single else TOLERANCE
    if not 0 < tolerance < 1:
        raise InputError(f"The tolerance has to lie between 0 and 1, but it is {tolerance}.")
    return tolerance


def _scaled(x: np.ndarray, y: np.ndarray, bandwidth: Bandwidth) -> tuple[np.ndarray, np.ndarray]:
    """The rows with the middle of their range at 0, divided by σ."""
    if bandwidth == "median":
        sigmas = [median_bandwidth(side) for side in (x, y)]
    elif bandwidth == "released":
        sigmas = [np.full(len(side), released_bandwidth(x, y)) for side in (x, y)]
    elif _is_positive(bandwidth):
        sigmas = [np.full(len(side), float(bandwidth)) for side in (x, y)]
    else:
        raise InputError(
            f"The bandwidth has to be 'median', 'released' or a positive number, but it is "
            f"{bandwidth!r}."
        )
    scaled = []
    for side, sigma in zip((x, y), sigmas, strict=True):
        low, high = side.min(axis=1, keepdims=True), side.max(axis=1, keepdims=True)
        with np.errstate(over="ignore", invalid="ignore"):
            z = (side - (low + (high - low) / 2)) / np.where(sigma > 0, sigma, 1.0)[:, np.newaxis]
        if not (np.abs(z) < _LARGEST_SCALED).all():
            raise InputError(
                "Some activations are too large for this bandwidth to tell apart: rescale them, "
                "or take a larger one."
            )
        scaled.append(z)
    return scaled[0], scaled[1]


def _is_positive(number: object) -> bool:
    return (
        isinstance(number, (int, float, np.integer, np.floating))
        and not isinstance(number, bool)
        and 0 < number < np.inf
    )


# ---- Groups of rows ----------------------------------------------------------------------------


def _values(x: np.ndarray, y: np.ndarray, rule: _Rule, tolerance: float) -> np.ndarray:
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


def _batches(z: np.ndarray, tolerance: float) -> Iterator[list[Features | np.ndarray]]:
    """Groups of rows, with features or by their numbers alone, as many as memory is given to."""
    batch: list[Features | np.ndarray] = []
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


def _groups(z: np.ndarray, tolerance: float) -> Iterator[Features | np.ndarray]:
    """Features of rows, and the numbers of those that are better multiplied directly."""
    direct = np.arange(len(z))
    if z.shape[1] >= FEWEST_FOR_FEATURES:
        for group in feature_groups(z, tolerance):
            direct = np.setdiff1d(direct, group.rows)
            yield group
    for start in range(0, len(direct), _TILE_ROWS):
        yield direct[start : start + _TILE_ROWS]


def _rows_of(group: Features | np.ndarray) -> np.ndarray:
    return group.rows if isinstance(group, Features) else group


def _block(
    x: np.ndarray,
    y: np.ndarray,
    of_x: Features | np.ndarray,
    of_y: Features | np.ndarray,
    rule: _Rule,
    tolerance: float,
    largest: float,
) -> np.ndarray:
    """T + offset of two groups: by features, if that is faster and accurate enough."""
    both = isinstance(of_x, Features) and isinstance(of_y, Features)
    if both and of_x.rank * of_y.rank <= 2 * x.shape[1]:
        offset = rule.offset(of_x, of_y)
        values, error = feature_products(of_x, of_y, offset, tolerance, largest)
        values += offset
        largest = max(largest, float(np.abs(values).max()))
        if error + rule.error(of_x, of_y) <= tolerance * largest:
            return values
    values, x_sums, y_sums = direct_products(x[_rows_of(of_x)], y[_rows_of(of_y)])
    return values + rule.offset(x_sums, y_sums)


def _own_values(z: np.ndarray, rule: _Rule, tolerance: float) -> np.ndarray:
    """The estimator of each scaled row with itself, (N,); at least 0."""
    values = np.zeros(len(z))
    for group in _groups(z, tolerance):
        if isinstance(group, Features):
            values[group.rows] = rule.diagonal(group.squares, group)
        else:
            values[group] = rule.diagonal(*direct_squares(z[group]))
    return np.maximum(values * rule.scale, 0.0)


def _factor(z: np.ndarray) -> np.ndarray:
    """Features (r, n) of one scaled row (1, n), exact to rounding."""
    kernel = np.exp(-((z.T - z) ** 2) / 2)
    kernel -= kernel.mean(axis=0)
    kernel -= kernel.mean(axis=1, keepdims=True)
    weights, axes = np.linalg.eigh(kernel)
    kept = weights > _NO_WEIGHT * len(kernel)
    return (axes[:, kept] * np.sqrt(weights[kept])).T
