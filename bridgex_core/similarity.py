"""Statistics of language × language similarity matrices.

A similarity matrix is (K, K) float64 and symmetric, larger for languages that are more alike; a
pair that is not known is NaN. The cells of such a matrix are not independent, since every
language takes part in K - 1 pairs, so intervals resample languages and tests permute languages,
never single pairs. What the diagonal holds matters to `distances` alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.cluster.hierarchy import dendrogram, leaves_list, linkage
from scipy.spatial.distance import squareform

from .errors import InputError

FEWEST_LANGUAGES = 4
"""Three languages make three pairs and six permutations: too few for a correlation or a test."""

_BLOCK = 2**18
"""Most cells (pairs × draws) that one step works on: few enough for a processor's cache."""


def check_similarity(matrix: ArrayLike) -> np.ndarray:
    """The matrix as (K, K) float64, or an InputError that says why it is no similarity matrix.

    It has to be square, free of infinities and symmetric (within 1e-6, relative); NaN is allowed
    where both halves have it.
    """
    values = np.asarray(matrix, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise InputError(
            f"A similarity matrix needs one row and one column a language, but this one has the "
            f"shape {values.shape}: give a square matrix."
        )
    if np.isinf(values).any():
        raise InputError(
            "The similarity matrix holds an infinite value: use NaN for an unknown pair."
        )
    if not np.allclose(values, values.T, rtol=1e-6, atol=1e-9, equal_nan=True):
        raise InputError(
            "The similarity matrix is not symmetric: give one value for each pair of languages."
        )
    return values


def off_diagonal(matrix: ArrayLike) -> np.ndarray:
    """The K(K-1)/2 pairs of a (K, K) matrix: its upper triangle, row by row.

    >>> off_diagonal([[1, 2, 3], [2, 1, 4], [3, 4, 1]])
    array([2., 3., 4.])
    """
    values = check_similarity(matrix)
    return values[np.triu_indices(len(values), 1)]


# ---- Spearman's rho ----------------------------------------------------------------------------


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's rho of two (K, K) matrices over the pairs known in both.

    Ties get the average of their ranks. NaN when either matrix is constant over those pairs, which
    includes fewer than two pairs.
    """
    x, y = _pairs_of_both(a, b)
    weights = _known_in_both(x, y).astype(np.float64)[:, np.newaxis]
    return float(_rho(_rank_scores(x, weights), _rank_scores(y, weights), weights)[0])


def agreement(matrices: Sequence[ArrayLike]) -> np.ndarray:
    """Spearman's rho between every two of M matrices over the same languages, (M, M).

    Each cell is `spearman` of its two matrices, over the pairs that both know.
    """
    rho = np.empty((len(matrices), len(matrices)))
    for i, first in enumerate(matrices):
        for j in range(i, len(matrices)):
            rho[i, j] = rho[j, i] = spearman(first, matrices[j])
    return rho


def spearman_brown(r: float) -> float:
    """Reliability of the whole from the correlation r of its two halves: 2r / (1 + r).

    Brown (1910) and Spearman (1910). NaN gives NaN, -1 the limit -inf; an r outside -1 to 1 is an
    InputError.

    >>> spearman_brown(0.5)
    0.6666666666666666
    """
    if math.isnan(r):
        return math.nan
    if not -1 <= r <= 1:
        raise InputError(f"The correlation of two halves lies between -1 and 1, but this is {r}.")
    return 2 * r / (1 + r) if r > -1 else -math.inf


@dataclass(frozen=True)
class MatrixCorrelation:
    """How strongly two similarity matrices agree, with what can be said about chance.

    Attributes
    ----------
    rho : Spearman's correlation over `pairs` pairs of `languages` languages; NaN when one of the
        matrices is constant over them, and then `low`, `high` and `p_value` are NaN too and
        nothing was drawn.
    low, high : percentile bootstrap interval at `confidence`, from the `resamples` resamples in
        which rho was defined; NaN when there was none.
    p_value : two-sided Mantel test with `permutations` permutations, in (0, 1].
    """

    rho: float
    low: float
    high: float
    p_value: float
    languages: int
    pairs: int
    resamples: int
    permutations: int
    confidence: float


def correlate(
    a: ArrayLike,
    b: ArrayLike,
    *,
    resamples: int = 1000,
    permutations: int = 9999,
    confidence: float = 0.95,
    seed: int = 0,
) -> MatrixCorrelation:
    """Spearman's rho of two (K, K) similarity matrices, its interval and a Mantel test.

    Languages with no pair known in both matrices are dropped first; fewer than four that remain
    are an InputError. Ties get average ranks throughout.

    - Interval: languages are drawn with replacement, the same for both matrices (Snijders and
      Borgatti 1999). A pair of two copies of one language is left out, since it says nothing
      about two languages; a resample in which a matrix is constant is skipped.
    - Test (Mantel 1967): rows and columns of `b` are permuted together.
      p = (1 + #{|rho*| >= |rho|}) / (1 + permutations). Unknown pairs of `b` move with it, and a
      pair unknown on either side is left out. A permutation that leaves rho undefined counts as
      reaching rho, so that gaps can only make the test more careful.

    Intervals and tests draw from separate streams of `seed`: changing the number of one leaves the
    other as it was.
    """
    _check_draws(resamples, permutations, confidence)
    x, y = _pairs_of_both(a, b)
    x, y, languages = _drop_unknown_languages(x, y)
    if languages < FEWEST_LANGUAGES:
        raise InputError(
            f"Comparing two matrices needs at least {FEWEST_LANGUAGES} languages with pairs known "
            f"in both, but there are {languages}: add languages."
        )
    pairs = int(_known_in_both(x, y).sum())
    rho = _permuted_rhos(x, y, np.arange(languages)[np.newaxis])[0]
    if np.isnan(rho):
        nan = math.nan
        return MatrixCorrelation(nan, nan, nan, nan, languages, pairs, 0, 0, confidence)

    bootstrap, mantel = np.random.default_rng(seed).spawn(2)
    drawn = _resampled_rhos(x, y, bootstrap.integers(languages, size=(resamples, languages)))
    drawn = drawn[~np.isnan(drawn)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail]) if len(drawn) else (math.nan, math.nan)

    order = np.tile(np.arange(languages), (permutations, 1))
    shuffled = _permuted_rhos(x, y, mantel.permuted(order, axis=1))
    # Equal rank sums may differ in the last bit after the division; NaN is never below.
    reached = ~(np.abs(shuffled) < abs(rho) - 1e-12)
    return MatrixCorrelation(
        rho=float(rho),
        low=float(low),
        high=float(high),
        p_value=float((1 + reached.sum()) / (1 + permutations)),
        languages=languages,
        pairs=pairs,
        resamples=len(drawn),
        permutations=permutations,
        confidence=confidence,
    )


def _check_draws(resamples: int, permutations: int, confidence: float) -> None:
    if resamples < 1 or permutations < 1:
        raise InputError(
            f"An interval and a test need at least one resample and one permutation, but "
            f"{resamples} and {permutations} were asked for."
        )
    if not 0 < confidence < 1:
        raise InputError(
            f"The confidence has to lie between 0 and 1, such as 0.95, but it is {confidence}."
        )


def _pairs_of_both(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    x, y = off_diagonal(a), off_diagonal(b)
    if len(x) != len(y):
        raise InputError(
            f"Two matrices can only be compared over the same languages, but their shapes are "
            f"{np.shape(a)} and {np.shape(b)}."
        )
    return x, y


def _known_in_both(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return ~(np.isnan(x) | np.isnan(y))


def _drop_unknown_languages(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """The pairs of the languages that have a pair known in both, and how many languages these are.

    A dropped language has no such pair with anyone, so dropping it cannot make another one unknown.
    """
    if not len(x):
        return x, y, 0
    known = squareform(_known_in_both(x, y), checks=False)
    keep = known.any(axis=1)
    i, j = np.triu_indices(len(known), 1)
    both = keep[i] & keep[j]
    return x[both], y[both], int(keep.sum())


def _rank_scores(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Twice the centred rank of each pair, in each of R weighted samples.

    values is (P,), weights (P, R): how often each sample holds each pair. With ties at their
    average rank, rank - mean rank = (weight below - weight above) / 2; doubled, it is an integer,
    so sums of products are exact and a constant sample has a variance of exactly zero. One sort
    serves all samples: each costs a running sum. Pairs of weight zero get a number without meaning.
    """
    in_order = np.sort(values)
    running = np.zeros((len(values) + 1, weights.shape[1]))
    np.cumsum(weights[np.argsort(values, kind="stable")], axis=0, out=running[1:])
    below = running[np.searchsorted(in_order, values, side="left")]
    not_above = running[np.searchsorted(in_order, values, side="right")]
    return below + not_above - running[-1]


def _rho(x_scores: np.ndarray, y_scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pearson's correlation of centred scores with integer weights, all (P, R); NaN if constant."""
    weighted = weights * x_scores
    covariance = np.einsum("pr,pr->r", weighted, y_scores)
    x_variance = np.einsum("pr,pr->r", weighted, x_scores)
    y_variance = np.einsum("pr,pr->r", weights * y_scores, y_scores)
    scale = np.sqrt(x_variance * y_variance)
    return np.divide(covariance, scale, out=np.full(len(scale), np.nan), where=scale > 0)


def _blocks(draws: np.ndarray, pairs: int) -> Iterator[np.ndarray]:
    """Rows of draws (R, K), transposed to (K, r), few enough at a time for P × r cells."""
    step = max(1, _BLOCK // pairs)
    for start in range(0, len(draws), step):
        yield draws[start : start + step].T


def _resampled_rhos(x: np.ndarray, y: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Rho of the pairs (P,) in each of R resamples; draws (R, K) holds language numbers."""
    languages = draws.shape[1]
    known = _known_in_both(x, y)[:, np.newaxis]
    i, j = np.triu_indices(languages, 1)
    rhos = []
    for drawn in _blocks(draws, len(x)):
        copies = (drawn[np.newaxis] == np.arange(languages)[:, np.newaxis, np.newaxis]).sum(axis=1)
        weights = (copies[i] * copies[j] * known).astype(np.float64)
        rhos.append(_rho(_rank_scores(x, weights), _rank_scores(y, weights), weights))
    return np.concatenate(rhos)


def _permuted_rhos(x: np.ndarray, y: np.ndarray, permutations: np.ndarray) -> np.ndarray:
    """Rho of x with y's languages permuted, for each row of permutations (R, K).

    Language k of x meets language permutations[r, k] of y. When every pair is known, permuting
    leaves the ranks as they are, so they are computed once; otherwise each permutation leaves
    other pairs to rank.
    """
    languages = permutations.shape[1]
    i, j = np.triu_indices(languages, 1)
    number = squareform(np.arange(len(x)), checks=False)
    x_known, y_known = ~np.isnan(x), ~np.isnan(y)
    complete = bool(x_known.all() and y_known.all())
    everything = np.ones((len(x), 1))
    x_scores, y_scores = _rank_scores(x, everything), _rank_scores(y, everything)
    scale = math.sqrt((x_scores**2).sum() * (y_scores**2).sum())

    rhos = []
    for moved in _blocks(permutations, len(x)):
        partner = number[moved[i], moved[j]]  # which pair of y each pair of x meets, (P, r)
        if complete:
            covariance = x_scores[:, 0] @ y_scores[:, 0][partner]
            rhos.append(covariance / scale if scale else np.full(len(covariance), np.nan))
            continue
        weights = (x_known[:, np.newaxis] & y_known[partner]).astype(np.float64)
        y_weights = np.empty_like(weights)
        np.put_along_axis(y_weights, partner, weights, axis=0)
        y_ranked = np.take_along_axis(_rank_scores(y, y_weights), partner, axis=0)
        rhos.append(_rho(_rank_scores(x, weights), y_ranked, weights))
    return np.concatenate(rhos)


# ---- Distances and the cluster tree ------------------------------------------------------------


def distances(similarity: ArrayLike) -> np.ndarray:
    """Distances (K, K) between languages: the largest known similarity minus each similarity.

    The diagonal takes part in the maximum: with 1 there (Jaccard, cosine), the distance is
    1 - similarity, and zero means equal neuron sets. The distance of a language to itself is zero.
    An unknown pair first gets the average of its two languages' mean similarities, where a
    language of which no pair is known stands at the mean of all pairs. Fewer than two languages,
    or no known pair at all, are an InputError.
    """
    values = check_similarity(similarity)
    if len(values) < 2:
        raise InputError("Arranging languages by similarity needs at least two of them: add one.")
    pairs = off_diagonal(values)
    known = ~np.isnan(pairs)
    if not known.any():
        raise InputError(
            "No similarity between these languages is known: choose languages with data."
        )
    mean = _mean_similarity(pairs)
    i, j = np.triu_indices(len(values), 1)
    filled = np.where(known, pairs, (mean[i] + mean[j]) / 2)
    return squareform(np.nanmax(values) - filled, checks=False)


def _mean_similarity(pairs: np.ndarray) -> np.ndarray:
    """Mean known similarity of each language to the others, (K,); the overall mean if none is."""
    known = ~np.isnan(pairs)
    count = squareform(known.astype(np.float64), checks=False).sum(axis=1)
    total = squareform(np.where(known, pairs, 0.0), checks=False).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), pairs[known].mean())


@dataclass(frozen=True, eq=False)
class ClusterTree:
    """A hierarchical clustering of K languages.

    Attributes
    ----------
    order : the languages' numbers from left to right, so that neighbours are alike.
    linkage : (K-1, 4), scipy's format; column 2 is the distance at which two clusters meet.
    """

    order: tuple[int, ...]
    linkage: np.ndarray


def cluster(similarity: ArrayLike) -> ClusterTree:
    """Average linkage (UPGMA) over `distances`, the leaves in the order that suits a heatmap.

    Of the orders that fit the tree, the one with the least distance between neighbouring languages
    is taken (Bar-Joseph et al. 2001). The same matrix always gives the same tree.
    """
    condensed = squareform(distances(similarity), checks=False)
    tree = linkage(condensed, method="average", optimal_ordering=True)
    return ClusterTree(order=tuple(leaves_list(tree).tolist()), linkage=tree)


def tree_segments(tree: ClusterTree) -> tuple[np.ndarray, np.ndarray]:
    """The tree as lines to draw beside a heatmap: xs and ys, each (K-1, 4).

    Row m is one join as a bracket of four points: up from the left branch, across, down to the
    right branch. Leaf n of `tree.order` stands at x = n, y = 0; y is distance.
    """
    drawn = dendrogram(tree.linkage, no_plot=True)
    # scipy puts leaf n at 10 n + 5.
    return (np.asarray(drawn["icoord"]) - 5) / 10, np.asarray(drawn["dcoord"], dtype=np.float64)
