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

import math
from dataclasses import dataclass
from numbers import Real
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from bridgex_core.errors import InputError
from bridgex_core.hsic_bandwidth import median_bandwidth, released_bandwidth
from bridgex_core.hsic_estimators import Rule, own_values, values_of

Estimator = Literal["biased", "unbiased", "released"]
Bandwidth = Literal["median", "released"] | float

TOLERANCE = 1e-8
"""Error allowed by default, as a share of the largest value of the matrix."""

SINGLE_TOLERANCE = 1e-6
"""The same if both inputs come in single or half precision."""

_PERMUTED_BYTES = 2**25
_NO_WEIGHT = 1e-14  # of an eigenvalue, for each sample: mere rounding
_LARGEST = 1e150  # its square is still a number


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
    tolerance : the error allowed, between 0 and 1, as a share of the largest absolute value in the
        result. By default 1e-8, or 1e-6 where neither input has more than single precision.

    Raises
    ------
    InputError
        What is not as above, or so large that the square of value/σ is no number.

    From 128 samples on, kernels are replaced by low-rank features. What these leave out is bounded
    as they are made and used, and whatever cannot be bounded within the tolerance is computed from
    the full kernels, so that the tolerance holds for outliers and ties too.

    >>> hsic_matrix([[0, 1, 2, 3]], [[0, 1, 2, 3], [5, 5, 5, 5]]).round(4)
    array([[0.1285, 0.    ]])
    """
    scaled_x, scaled_y, rule, tolerance = prepared(x, y, bandwidth, estimator, tolerance)
    return values_of(scaled_x, scaled_y, rule, tolerance)


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
    scaled_x, scaled_y, rule, tolerance = prepared(x, y, bandwidth, estimator, tolerance)
    values = values_of(scaled_x, scaled_y, rule, tolerance)
    own_x, own_y = (own_values(side, rule, tolerance) for side in (scaled_x, scaled_y))
    own = np.sqrt(np.outer(own_x, own_y))
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
    x_rows, y_rows = np.asarray(x_row)[np.newaxis], np.asarray(y_row)[np.newaxis]
    scaled_x, scaled_y, rule, _ = prepared(x_rows, y_rows, bandwidth, "biased", None)
    samples, scale = scaled_x.shape[1], rule.scale
    x, y = _factor(scaled_x), _factor(scaled_y)
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


def _factor(z: np.ndarray) -> np.ndarray:
    """Features (r, n) of one scaled row (1, n), exact to rounding."""
    kernel = np.exp(-((z.T - z) ** 2) / 2)
    kernel -= kernel.mean(axis=0)
    kernel -= kernel.mean(axis=1, keepdims=True)
    weights, axes = np.linalg.eigh(kernel)
    kept = weights > _NO_WEIGHT * len(kernel)
    return (axes[:, kept] * np.sqrt(weights[kept])).T


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
    rows = _rows(x, "x")
    if not rows.size:
        return rows
    changes = rows.min(axis=1) < rows.max(axis=1)
    rows -= rows.mean(axis=1, keepdims=True)
    rows[~changes] = 0.0
    return rows / np.where(changes, rows.std(axis=1), 1.0)[:, np.newaxis]


# ---- Input -------------------------------------------------------------------------------------


def prepared(
    x: ArrayLike,
    y: ArrayLike,
    bandwidth: Bandwidth,
    estimator: Estimator,
    tolerance: float | None,
) -> tuple[np.ndarray, np.ndarray, Rule, float]:
    """The scaled rows of both sides, the estimator and the tolerance, all checked."""
    x_rows, y_rows = _rows(x, "x"), _rows(y, "y")
    samples = x_rows.shape[1]
    if estimator not in get_args(Estimator):
        raise InputError(
            f"There is no HSIC estimator {estimator!r}: use {', '.join(get_args(Estimator))}."
        )
    if samples != y_rows.shape[1]:
        raise InputError(
            f"HSIC compares neurons over the same samples, but x has {samples} columns and y has "
            f"{y_rows.shape[1]}: record both on the same prompts."
        )
    fewest = 4 if estimator == "unbiased" else 2
    if samples < fewest:
        raise InputError(
            f"The {estimator} HSIC needs at least {fewest} samples, but there are {samples}: add "
            f"prompts."
        )
    if tolerance is None:
        single = {np.asarray(side).dtype for side in (x, y)} <= {np.dtype("f4"), np.dtype("f2")}
        tolerance = SINGLE_TOLERANCE if single else TOLERANCE
    if not 0 < tolerance < 1:
        raise InputError(f"The tolerance has to lie between 0 and 1, but it is {tolerance}.")
    scaled_x, scaled_y = _scaled(x_rows, y_rows, bandwidth)
    return scaled_x, scaled_y, Rule.of(estimator, samples), tolerance


def _rows(x: ArrayLike, name: str) -> np.ndarray:
    """A copy in float64."""
    try:
        values = np.asarray(x)
    except ValueError as error:
        raise InputError(f"The rows of {name} are not of one length: give a rectangle.") from error
    if values.ndim != 2:
        raise InputError(
            f"HSIC takes one row a neuron and one column a sample, but {name} has the shape "
            f"{values.shape}: give a two-dimensional array."
        )
    if values.dtype.kind not in "biuf":
        raise InputError(f"HSIC takes real numbers, but {name} holds {values.dtype} values.")
    values = values.astype(np.float64)
    if not (np.abs(values) < _LARGEST).all():
        raise InputError(
            f"{name} holds values that are NaN, infinite or beyond {_LARGEST:g}: drop these "
            f"samples or neurons, or rescale them."
        )
    return values


def _scaled(x: np.ndarray, y: np.ndarray, bandwidth: Bandwidth) -> tuple[np.ndarray, np.ndarray]:
    """The rows with the middle of their range at 0, divided by σ."""
    if bandwidth == "median":
        sigmas = [median_bandwidth(side) for side in (x, y)]
    elif bandwidth == "released":
        sigmas = [np.full(len(side), released_bandwidth(x, y)) for side in (x, y)]
    elif (
        isinstance(bandwidth, Real) and not isinstance(bandwidth, bool) and 0 < bandwidth < math.inf
    ):
        sigmas = [np.full(len(side), float(bandwidth)) for side in (x, y)]
    else:
        raise InputError(
            f"The bandwidth has to be 'median', 'released' or a positive number, but it is "
            f"{bandwidth!r}."
        )
    scaled = []
    for side, sigma in zip((x, y), sigmas, strict=True):
        middle = (side.min(axis=1) + side.max(axis=1)) / 2
        with np.errstate(over="ignore"):
            z = (side.T - middle).T / np.where(sigma > 0, sigma, 1.0)[:, np.newaxis]
        if not (np.abs(z) < _LARGEST).all():
            raise InputError(
                "The bandwidth is too small for the size of some activations: rescale them, or "
                "take a larger one."
            )
        scaled.append(z)
    return scaled[0], scaled[1]
