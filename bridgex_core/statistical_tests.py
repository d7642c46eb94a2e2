"""Results item by item → intervals and tests: is a bridged route better than the direct one?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy import stats

RESAMPLES = 10_000
_BATCH_VALUES = 2**20  # resampled at once, 8 MB

Statistic = Callable[..., np.ndarray]  # reduces the axis that it is given, as numpy.mean does


@dataclass(frozen=True)
class Interval:
    """A statistic of the items and its bootstrap interval.

    Attributes
    ----------
    value : the statistic of the items themselves.
    low, high : the interval's ends.
    level : its confidence level.
    """

    value: float
    low: float
    high: float
    level: float


@dataclass(frozen=True)
class PairedBootstrap:
    """How much better the bridged route is, over the same items.

    Attributes
    ----------
    difference : mean of bridged minus direct.
    low, high : its bootstrap interval, at confidence level ``level``.
    p_value : two-sided, of no difference.
    level : see above.
    """

    difference: float
    low: float
    high: float
    p_value: float
    level: float


@dataclass(frozen=True)
class McNemar:
    """Right or wrong on the same items, both ways.

    Attributes
    ----------
    fixed, broken : items that only the bridged route, only the direct one, got right.
    p_value : exact and two-sided, of as many fixed as broken.
    """

    fixed: int
    broken: int
    p_value: float


def bootstrap_interval(
    values: Sequence[float] | np.ndarray,
    *,
    statistic: Statistic = np.mean,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval (Efron 1979) of a statistic of n items.

    Parameters
    ----------
    values : (n,) one number an item; right and wrong are 1 and 0.
    statistic : called as ``statistic(values, axis=-1)``.
    resamples, level, seed : how often drawn anew, confidence level, seed of the drawing.

    Raises
    ------
    ValueError
        There is no item, or one is not finite.

    >>> bootstrap_interval([1, 1, 1, 1])
    Interval(value=1.0, low=1.0, high=1.0, level=0.95)
    """
    items = _items(values)
    value = float(statistic(items, axis=-1))
    if len(items) == 1:  # every resample is the item itself
        return Interval(value, value, value, level)
    found = _resampled(items, statistic, resamples, level, seed).confidence_interval
    return Interval(value, float(found.low), float(found.high), level)


def paired_bootstrap(
    direct: Sequence[float] | np.ndarray,
    bridged: Sequence[float] | np.ndarray,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> PairedBootstrap:
    """Paired bootstrap test (Efron and Tibshirani 1993, chapter 16) of two routes' items.

    The items' differences d are drawn anew. The interval is the percentile one; the p-value is how
    often, when no difference holds (the d shifted to mean 0), the mean is as far from 0 as it was
    observed: of R resamples' means m* about the mean m, (1 + #(abs(m* - m) >= abs(m))) / (1 + R).
    Where all items differ alike nothing varies; then, and with few items, a small p-value says
    little.

    Parameters
    ----------
    direct, bridged : (n,) a score an item, item k of both being the same item.
    seed, resamples, level : see :func:`bootstrap_interval`.

    Returns
    -------
    PairedBootstrap, with p_value 1 for a single item, which tests nothing.

    Raises
    ------
    ValueError
        There is no item, not as many of both, or one is not finite.

    >>> paired_bootstrap([1, 0, 0, 1], [1, 0, 0, 1]).p_value
    1.0
    """
    items = _items(bridged) - _items(direct, like=bridged)
    difference = float(items.mean())
    if len(items) == 1:
        return PairedBootstrap(difference, difference, difference, 1.0, level)
    found = _resampled(items, np.mean, resamples, level, seed)
    means = found.bootstrap_distribution
    slack = 1e-9 * np.abs(items).max()  # sums of the same numbers in another order are the same
    extreme = np.count_nonzero(np.abs(means - difference) >= abs(difference) - slack)
    low, high = found.confidence_interval
    p_value = float((1 + extreme) / (1 + resamples))
    return PairedBootstrap(difference, float(low), float(high), p_value, level)


def sign_flip(
    direct: Sequence[float] | np.ndarray, bridged: Sequence[float] | np.ndarray, *, seed: int = 0
) -> float:
    """Two-sided p-value of the paired randomisation test (Fisher 1935), that also few items bear.

    Where nothing differs, each item's difference is as likely to have the other sign: how often is
    the mean then as far from 0? All signs are tried where there are at most 10,000 ways, else as
    many are drawn. With n items no p-value is below 2/2ⁿ.

    Parameters
    ----------
    direct, bridged : (n,) a score an item, item k of both being the same item.

    Raises
    ------
    ValueError
        There is no item, not as many of both, or one is not finite.

    >>> sign_flip([0, 0, 0], [0.1, 0.1, 0.1])
    0.25
    """
    items = _items(bridged) - _items(direct, like=bridged)
    if len(items) == 1 or not items.any():
        return 1.0
    from scipy import stats

    found = stats.permutation_test(
        (items,),
        np.mean,
        permutation_type="samples",
        n_resamples=RESAMPLES,
        batch=max(1, _BATCH_VALUES // len(items)),
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def mcnemar(direct: Sequence[bool] | np.ndarray, bridged: Sequence[bool] | np.ndarray) -> McNemar:
    """Exact McNemar test (binomial, on the items on which the two routes disagree).

    Parameters
    ----------
    direct, bridged : (n,) whether item k was right.

    Raises
    ------
    ValueError
        There are not as many of both, or they are neither right nor wrong.

    >>> mcnemar([0, 0, 0, 1, 1], [1, 1, 1, 0, 1])
    McNemar(fixed=3, broken=1, p_value=0.625)
    """
    before, after = _items(direct, like=bridged), _items(bridged)
    if not np.isin(np.concatenate([before, after]), (0, 1)).all():
        raise ValueError("an item is right (1) or wrong (0), nothing between")
    fixed, broken = int((after > before).sum()), int((after < before).sum())
    from scipy import stats  # slow to load, and most pages test nothing

    p_value = stats.binomtest(fixed, fixed + broken).pvalue if fixed + broken else 1.0
    return McNemar(fixed, broken, float(p_value))


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """p-values adjusted for being several, by Holm's step-down procedure (Holm 1979).

    The k-th smallest of m is multiplied by m - k + 1, none is smaller than the one before it, none
    larger than 1. Rejecting where the adjusted value is at most alpha keeps the probability of any
    false rejection at alpha, whatever the tests have to do with each other.

    Parameters
    ----------
    p_values : (m,) between 0 and 1; m may be 0.

    Returns
    -------
    float64 (m,), in the order of ``p_values``.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    raw = np.asarray(p_values, dtype=np.float64)
    if raw.ndim != 1 or not ((raw >= 0) & (raw <= 1)).all():
        raise ValueError("p-values are a list of numbers between 0 and 1")
    order = np.argsort(raw, kind="stable")
    stepped = raw[order] * np.arange(len(raw), 0, -1)
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return adjusted


def mean_reciprocal_rank(ranks: Sequence[float] | np.ndarray) -> float:
    """Mean of 1/rank over items, 0 to 1; rank 1 is the best, infinity an item never found.

    Raises
    ------
    ValueError
        There is no item, or a rank is below 1.

    >>> mean_reciprocal_rank([1, 2, 4])
    0.5833333333333334
    """
    found = np.asarray(ranks, dtype=np.float64)
    if found.ndim != 1 or not len(found) or not (found >= 1).all():
        raise ValueError("ranks are a list of numbers from 1 up, at least one")
    return float((1 / found).mean())


def _items(
    values: Sequence[float] | np.ndarray, like: Sequence[float] | np.ndarray | None = None
) -> np.ndarray:
    items = np.asarray(values, dtype=np.float64)
    if items.ndim != 1 or not len(items) or not np.isfinite(items).all():
        raise ValueError("items are a list of finite numbers, at least one")
    if like is not None and len(like) != len(items):
        raise ValueError(f"{len(items)} items do not pair with {len(like)}")
    return items


def _resampled(
    items: np.ndarray, statistic: Statistic, resamples: int, level: float, seed: int
) -> stats._resampling.BootstrapResult:
    from scipy import stats

    return stats.bootstrap(
        (items,),
        statistic,
        n_resamples=resamples,
        batch=max(1, _BATCH_VALUES // len(items)),
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
