import itertools
import operator
import subprocess
import sys
from contextlib import contextmanager
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bridgex_core import hsic, hsic_bandwidth, hsic_estimators, hsic_features, hsic_products
from bridgex_core.errors import InputError
from bridgex_core.hsic_features import feature_groups

ESTIMATORS = ("biased", "unbiased", "released")
# exp(-d²/2σ²) = 2^(-d²), so that kernels of whole numbers are fractions.
HALVING = 1 / np.sqrt(2 * np.log(2))


# ---- Oracles -----------------------------------------------------------------------------------


def naive_median(row):
    distances = [abs(a - b) for i, a in enumerate(row) for b in row[:i]]
    median = np.median(distances)
    if median > 0 or max(distances) == 0:
        return median
    return np.median([distance for distance in distances if distance > 0])


def naive_sigmas(x, y, bandwidth):
    if bandwidth == "median":
        return [[naive_median(row) or 1.0 for row in side] for side in (x, y)]
    if bandwidth == "released":
        # All ordered pairs of rows of one side, a row with itself included; torch's lower median.
        distances = sorted(np.linalg.norm(a - b) for side in (x, y) for a in side for b in side)
        bandwidth = distances[(len(distances) - 1) // 2] + 1e-6
    return [[bandwidth] * len(side) for side in (x, y)]


def naive(x, y, bandwidth="median", estimator="biased"):
    """The double loop over pairs of neurons, from n × n kernels in extended precision.

    A constant off the diagonal changes none of the three estimators; without it, nearly flat
    kernels do not drown in it.
    """
    n = x.shape[1]
    kernels = [
        [
            np.expm1(-(np.subtract.outer(row, row).astype(np.longdouble) ** 2) / (2 * sigma**2))
            for row, sigma in zip(side, sigmas, strict=True)
        ]
        for side, sigmas in zip((x, y), naive_sigmas(x, y, bandwidth), strict=True)
    ]
    values = np.empty((len(x), len(y)))
    for i, k in enumerate(kernels[0]):
        for j, l in enumerate(kernels[1]):  # noqa: E741
            # Here the diagonals are 0, as those of K̃ and L̃ are.
            if estimator == "biased":
                values[i, j] = (_h_times(_h_times(k).T) * l).sum() / (n - 1) ** 2
            elif estimator == "released":
                values[i, j] = (_h_times(k) * l).sum()
            else:
                middle = (k.sum(0) * l.sum(0)).sum()
                values[i, j] = (
                    (k * l).sum() + k.sum() * l.sum() / ((n - 1) * (n - 2)) - 2 * middle / (n - 2)
                ) / (n * (n - 3))
    return values


def _h_times(kernel):
    """HK."""
    return kernel - kernel.mean(0)


def exact(x, y, estimator, q=Fraction(1, 2)):
    """One pair by the definitions, in fractions, with kernels q^(d²)."""
    n = len(x)
    k, l = ([[q ** ((a - b) ** 2) for b in row] for a in row] for row in (x, y))  # noqa: E741
    h = [[Fraction(int(a == b)) - Fraction(1, n) for b in range(n)] for a in range(n)]

    def times(a, b):
        columns = list(zip(*b, strict=True))
        return [[sum(map(operator.mul, row, column)) for column in columns] for row in a]

    def trace(a):
        return sum(a[i][i] for i in range(n))

    if estimator == "biased":
        return trace(times(times(k, h), times(l, h))) / (n - 1) ** 2
    if estimator == "released":
        return trace(times(times(k, h), times(h, l)))
    for i in range(n):
        k[i][i] = l[i][i] = Fraction(0)
    ones = [[Fraction(1)] * n] * n
    return (
        trace(times(k, l))
        + Fraction(sum(map(sum, k)) * sum(map(sum, l)), (n - 1) * (n - 2))
        - Fraction(2, n - 2) * trace(times(times(k, l), ones))
    ) / (n * (n - 3))


@contextmanager
def only(way):
    """Every pair by features, or every pair directly."""
    with pytest.MonkeyPatch.context() as patch:
        if way == "features":
            patch.setattr(hsic_estimators, "FEWEST_FOR_FEATURES", 2)
            patch.setattr(hsic_estimators, "faster_by_features", lambda x, y: True)
        else:
            patch.setattr(hsic_estimators, "FEWEST_FOR_FEATURES", 10**9)
        yield


@contextmanager
def counted_directly():
    """How many pairs are multiplied directly, in a list of one."""
    direct, counted = hsic_estimators.direct_products, [0]

    def counting(x, y):
        counted[0] += len(x) * len(y)
        return direct(x, y)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hsic_estimators, "direct_products", counting)
        yield counted


def off(values, truth):
    """The largest error as a share of the largest value."""
    return np.abs(values - truth).max() / np.abs(truth).max()


def assert_close(values, truth):
    """Both within the default tolerance of the same matrix."""
    np.testing.assert_allclose(values, truth, rtol=0, atol=2e-8 * np.abs(truth).max() + 1e-13)


def kinds(rng, neurons, n):
    """Rows as activations may be, some of them dependent on the first of `normal`."""
    normal = rng.standard_normal((neurons, n))
    shared = normal[0] + 0.3 * rng.standard_normal((neurons, n))
    outliers = rng.standard_normal((neurons, n))
    outliers[:, :3] = [30, -40, 75]
    return {
        "normal": normal,
        "dependent": shared,
        "heavy tails": rng.standard_t(2, (neurons, n)),
        "outliers": outliers,
        "ties": rng.integers(0, 7, (neurons, n)).astype(float),
        "two values": (shared > 0).astype(float),
        "two modes": 0.2 * rng.standard_normal((neurons, n)) + 3 * (normal > 0.5),
        "mostly zero": np.maximum(shared - 1, 0),
        "far from zero": 1e6 + shared,
        "half precision": shared.astype(np.float16).astype(float),
    }


# ---- Values ------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["direct", "features"])
def test_four_samples_by_hand(way):
    # With s = (1,1,-1,-1) the kernel of (0,0,1,1) is 3/4·11ᵀ + 1/4·ssᵀ, and Hs = s. With
    # u = (1,1,1,-1) that of (0,0,0,1) is 3/4·11ᵀ + 1/4·uuᵀ, and Hu = (1,1,1,-3)/2.
    x = [[0, 0, 1, 1]]
    y = [[0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 1]]
    with only(way):
        # T = (sᵀs)²/16 = 1, 0, (sᵀHu)²/16 = 2²/16; biased T/3².
        biased = hsic.hsic_matrix(x, y, bandwidth=HALVING)
        np.testing.assert_allclose(biased, [[1 / 9, 0, 1 / 36]], atol=1e-15)
        # K1 = (3,3,3,3), so K1 is constant and released is T.
        released = hsic.hsic_matrix(x, y, bandwidth=HALVING, estimator="released")
        np.testing.assert_allclose(released, [[1, 0, 1 / 4]], atol=1e-14)
        # K̃1 = (2,2,2,2), 1ᵀK̃1 = 8, tr K̃K̃ = 4·1 + 8/4 = 6: (6 + 64/6 - 16)/4 = 1/6.
        # tr K̃L̃ with (0,1,0,1): 8 products of 1·1/2, 4 of 1/4: 5, so (5 + 64/6 - 16)/4 = -1/12.
        # With (0,0,0,1): L̃1 = (5,5,5,3)/2, sum 9; tr K̃L̃ = 2(1 + 1/2 + 1/2 + 2·1/4 + 1/2) = 6:
        # (6 - ...): 1·1 (1,2), 1·½ (3,4), ½·1 twice, ½·½ twice: 2·3 = 6; (6 + 72/6 - 18)/4 = 0.
        unbiased = hsic.hsic_matrix(x, y, bandwidth=HALVING, estimator="unbiased")
        np.testing.assert_allclose(unbiased, [[1 / 6, -1 / 12, 0]], atol=1e-15)


@pytest.mark.parametrize("way", ["direct", "features"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_four_samples_in_fractions(way, estimator):
    x, y = [0, 1, 2, 4], [3, 0, 1, 1]
    with only(way):
        value = hsic.hsic_matrix([x], [y], bandwidth=HALVING, estimator=estimator)
    assert value[0, 0] == pytest.approx(float(exact(x, y, estimator)), rel=1e-13, abs=1e-15)


def test_four_samples_with_their_own_median():
    # |0-1|, |0-2|, |0-3|, |1-2|, |1-3|, |2-3| = 1, 2, 3, 1, 2, 1: σ = 1.5, exp(-1/(2·2.25)) = q.
    q = np.exp(-1 / 4.5)
    k = q ** np.array([[0, 1, 4, 9], [1, 0, 1, 4], [4, 1, 0, 1], [9, 4, 1, 0]])
    # tr(KHKH) = ΣK² - 2/4·Σ(K1)² + (ΣK)²/16.
    t = (k**2).sum() - (k.sum(0) ** 2).sum() / 2 + k.sum() ** 2 / 16
    assert hsic.hsic_matrix([[0, 1, 2, 3]], [[6, 4, 2, 0]])[0, 0] == pytest.approx(t / 9, rel=1e-13)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("bandwidth", ["median", "released", 0.5, 30.0])
@pytest.mark.parametrize("n", [5, 40, 150])
def test_equal_to_the_double_loop(n, bandwidth, estimator):
    sides = kinds(np.random.default_rng(n), 2, n)
    x = np.concatenate([rows[:1] for rows in sides.values()])
    y = np.concatenate([rows[1:] for rows in sides.values()])
    values = hsic.hsic_matrix(x, y, bandwidth=bandwidth, estimator=estimator)
    assert values.dtype == np.float64
    assert off(values, naive(x, y, bandwidth, estimator)) < 1e-8


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("kind", kinds(np.random.default_rng(0), 1, 8))
def test_features_are_within_the_tolerance(kind, estimator):
    rng = np.random.default_rng(1)
    x, y = (kinds(rng, 4, 300)[kind] for _ in range(2))
    truth = naive(x, y, "median", estimator)
    for tolerance in (1e-4, 1e-6, 1e-8):
        values = hsic.hsic_matrix(x, y, estimator=estimator, tolerance=tolerance)
        assert off(values, truth) < tolerance


@pytest.mark.parametrize("kind", ["normal", "dependent", "outliers", "ties", "two values"])
def test_ordinary_rows_never_need_their_kernels(kind):
    rng = np.random.default_rng(2)
    x, y = (kinds(rng, 40, 500)[kind] for _ in range(2))
    with counted_directly() as pairs:
        values = hsic.hsic_matrix(x, y)
    assert pairs == [0]
    with only("direct"):
        assert off(values, hsic.hsic_matrix(x, y)) < 1e-8


def test_rows_of_too_high_a_rank_go_directly():
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.standard_normal((5, 300)), 1000 * rng.standard_normal((2, 300))])
    y = rng.standard_normal((6, 300))
    with counted_directly() as pairs:
        values = hsic.hsic_matrix(x, y, bandwidth=1.0)
    assert pairs == [2 * 6]
    assert off(values, naive(x, y, 1.0)) < 1e-8


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_bound_that_is_not_met_sends_the_pair_to_its_kernels(estimator):
    """A balanced design: HSIC is 0, and no share of that can be promised by features."""
    x, y = np.tile([[0.0, 0, 1, 1]], 80), np.tile([[0.0, 1, 0, 1]], 80)
    x[0, :4], y[0, :4] = 0.5, 0.5
    values = hsic.hsic_matrix(x, y, estimator=estimator)
    assert off(values, naive(x, y, "median", estimator)) < 1e-8


def test_what_features_cannot_promise_comes_from_the_kernels(monkeypatch):
    monkeypatch.setattr(hsic_estimators.Rule, "error", lambda self, x, y: 1e6)
    x, y = np.random.default_rng(17).standard_normal((2, 4, 200))
    with counted_directly() as pairs:
        values = hsic.hsic_matrix(x, y)
    assert pairs == [16]
    assert off(values, naive(x, y)) < 1e-12


def test_levels_that_a_row_does_not_have_are_zero(monkeypatch):
    class Unclean:
        def __getattr__(self, name):
            return getattr(np, name)

        def empty(self, shape):
            return np.full(shape, np.nan)

    monkeypatch.setattr(hsic_features, "np", Unclean())
    monkeypatch.setattr(hsic_features, "_STEP_BYTES", 1)  # each row by itself
    rng = np.random.default_rng(18)
    x = np.concatenate([rng.standard_normal((20, 200)), rng.integers(0, 4, (20, 200))])
    truth = naive(x[::8], x)
    assert off(hsic.hsic_matrix(x, x)[::8], truth) < 1e-8


def test_mixed_groups_and_batches_land_in_their_places(monkeypatch):
    rng = np.random.default_rng(4)
    parts = kinds(rng, 12, 256)
    x, y = (rng.permutation(np.concatenate(list(parts.values()))) for _ in range(2))
    x[7] = y[3] = 1.0
    with only("direct"):
        truth = hsic.hsic_matrix(x, y)
    monkeypatch.setattr(hsic_estimators, "_BATCH_BYTES", 2**20)
    assert off(hsic.hsic_matrix(x, y), truth) < 1e-8
    assert not hsic.hsic_matrix(x, y)[7].any()


def test_single_precision_input_gets_its_own_tolerance(monkeypatch):
    seen = []
    monkeypatch.setattr(
        hsic, "values_of", lambda x, y, rule, tolerance: seen.append(tolerance) or np.zeros((1, 1))
    )
    row = np.array([[1.0, 2, 4, 8]])
    hsic.hsic_matrix(row, row)
    hsic.hsic_matrix(row.astype("f4"), row.astype("f2"))
    hsic.hsic_matrix(row.astype("f4"), row)
    hsic.hsic_matrix([[1, 2, 4, 8]], row.astype("f4"))
    hsic.hsic_matrix(row, row, tolerance=0.1)
    assert seen == [1e-8, 1e-6, 1e-8, 1e-8, 0.1]


def test_what_features_miss_is_bounded():
    rng = np.random.default_rng(5)
    z = np.concatenate(list(kinds(rng, 3, 130).values()))
    z = (z - z.mean(1, keepdims=True)) / hsic_bandwidth.median_bandwidth(z)[:, np.newaxis]
    found = 0
    for tolerance in (1e-3, 1e-6, 1e-9):
        for group in feature_groups(z, tolerance):
            for place, row in enumerate(group.rows):
                kernel = np.exp(-(np.subtract.outer(z[row], z[row]) ** 2) / 2)
                centred = kernel - kernel.mean(0) - kernel.mean(1)[:, np.newaxis] + kernel.mean()
                features = group.levels[:, place]
                error = np.linalg.norm(centred - features.T @ features, "nuc")
                trace = np.trace(centred)
                assert error <= group.missing[place] + 1e-10
                assert error <= tolerance / 130 * trace + 1e-10
                assert group.traces[place] == pytest.approx(trace, rel=tolerance, abs=1e-10)
                sums = kernel.sum(0) - kernel.sum() / 130
                np.testing.assert_allclose(group.sums[place], sums, atol=1e-7 + 130 * tolerance)
                found += 1
    assert found == 3 * len(z)


@pytest.mark.parametrize("kind", ["normal", "dependent", "heavy tails", "ties", "outliers"])
@pytest.mark.parametrize("known", [0.0, 1e4])
def test_what_products_leave_out_is_bounded(kind, known):
    rng = np.random.default_rng(15)
    sides = [kinds(rng, 30, 200)[kind] for _ in range(2)]
    x, y = (side / hsic_bandwidth.median_bandwidth(side)[:, np.newaxis] for side in sides)
    truth = hsic_products.direct_products(x, y)[0]
    groups = [list(feature_groups(side, 1e-11)) for side in (x, y)]
    stopped_early = 0
    for of_x, of_y in itertools.product(*groups):
        here = truth[np.ix_(of_x.rows, of_y.rows)]
        for tolerance in (0.5, 1e-2, 1e-4, 1e-7):
            values, bound = hsic_products.feature_products(of_x, of_y, 0.0, tolerance, known, 0.0)
            assert np.abs(values - here).max() <= bound + 1e-8
            assert bound <= tolerance * max(known, values.max())
            stopped_early += np.abs(values - here).max() > 1e-6
    assert stopped_early


def test_float32_is_for_what_matters_little(monkeypatch):
    rng = np.random.default_rng(16)
    x, y = (kinds(rng, 20, 300)["dependent"] for _ in range(2))
    some_products, taken = hsic_products._some_products, []

    def seen(x, y, pairs, dtype):
        taken.append((np.dtype(dtype).name, len(pairs)))
        return some_products(x, y, pairs, dtype)

    monkeypatch.setattr(hsic_products, "_some_products", seen)
    hsic.hsic_matrix(x, y, tolerance=1e-6)
    names = [name for name, _ in taken]
    assert names == sorted(names, reverse=True)  # float64 first
    assert set(names) == {"float32", "float64"}
    taken.clear()
    hsic.hsic_matrix(x, y, tolerance=1e-11)
    assert sum(pairs for name, pairs in taken if name == "float64") > 100


def test_unbiased_is_zero_on_average_for_independent_rows():
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((2, 60, 20))
    unbiased = hsic.hsic_matrix(x, y, estimator="unbiased")
    biased = hsic.hsic_matrix(x, y)
    assert abs(unbiased.mean()) < 4 * unbiased.std() / 60  # 60 independent rows on each side
    assert abs(unbiased.mean()) < biased.mean() / 50


@pytest.mark.parametrize("bandwidth", ["median", "released", 2.0])
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("n", [6, 200])
def test_constant_rows_give_zero(n, estimator, bandwidth):
    rng = np.random.default_rng(7)
    x, y = rng.standard_normal((2, 3, n))
    x[1] = y[0] = 0.1
    values = hsic.hsic_matrix(x, y, bandwidth=bandwidth, estimator=estimator)
    np.testing.assert_array_equal(values[1], 0)
    np.testing.assert_array_equal(values[:, 0], 0)
    assert np.isfinite(values).all()
    assert (values[[0, 2]][:, 1:] != 0).all()


def test_no_neurons_give_an_empty_matrix():
    x = np.zeros((0, 200))
    for bandwidth in ("median", "released", 1.0):
        assert hsic.hsic_matrix(x, np.ones((3, 200)), bandwidth=bandwidth).shape == (0, 3)
    assert hsic.cka_matrix(x, x).shape == (0, 0)


def test_two_samples():
    # K = L = [[1, q], [q, 1]], q = exp(-1/2): T = (1-q)², n - 1 = 1.
    assert hsic.hsic_matrix([[0, 5]], [[2, 1]])[0, 0] == pytest.approx((1 - np.exp(-0.5)) ** 2)


# ---- Properties --------------------------------------------------------------------------------


@st.composite
def two_sides(draw):
    """Up to 3 neurons a side, 4 to 12 samples, ties and constant rows among them."""
    n = draw(st.integers(4, 12))
    values = st.integers(-40, 40).map(lambda k: k / 8)
    return tuple(
        draw(arrays(np.float64, (draw(st.integers(1, 3)), n), elements=values)) for _ in range(2)
    )


ways = st.sampled_from(["direct", "features"])
estimators = st.sampled_from(ESTIMATORS)


@given(two_sides(), ways, estimators)
@settings(deadline=None, max_examples=60)
def test_either_way_is_the_double_loop(sides, way, estimator):
    x, y = sides
    with only(way):
        values = hsic.hsic_matrix(x, y, estimator=estimator)
    truth = naive(x, y, "median", estimator)
    assert np.abs(values - truth).max() <= 1e-8 * np.abs(truth).max() + 1e-15


@given(two_sides(), ways, estimators)
@settings(deadline=None, max_examples=40)
def test_exchanging_the_sides_transposes(sides, way, estimator):
    x, y = sides
    with only(way):
        one = hsic.hsic_matrix(x, y, estimator=estimator)
        other = hsic.hsic_matrix(y, x, estimator=estimator)
    assert np.abs(one - other.T).max() <= 2e-8 * np.abs(one).max() + 1e-15


@given(two_sides(), ways, estimators, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_the_order_of_samples_and_neurons_does_not_matter(sides, way, estimator, random):
    x, y = sides
    samples = random.sample(range(x.shape[1]), x.shape[1])
    neurons = random.sample(range(len(x)), len(x))
    with only(way):
        values = hsic.hsic_matrix(x, y, estimator=estimator)
        moved = hsic.hsic_matrix(x[neurons][:, samples], y[:, samples], estimator=estimator)
    assert np.abs(moved - values[neurons]).max() <= 2e-8 * np.abs(values).max() + 1e-15


@given(two_sides(), ways, estimators, st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
@settings(deadline=None, max_examples=40)
def test_shift_and_scale_of_a_row_do_not_matter(sides, way, estimator, shift, scale):
    x, y = sides
    with only(way):
        values = hsic.hsic_matrix(x, y, estimator=estimator)
        moved = hsic.hsic_matrix(shift - scale * x, y, estimator=estimator)
    assert_close(moved, values)


@given(two_sides(), ways, st.sampled_from(["median", "released", 0.3]))
@settings(deadline=None, max_examples=40)
def test_biased_is_never_negative_and_cka_at_most_one(sides, way, bandwidth):
    x, y = sides
    with only(way):
        assert (hsic.hsic_matrix(x, y, bandwidth=bandwidth) >= 0).all()
        cka = hsic.cka_matrix(x, y, bandwidth=bandwidth)
        own = np.diag(hsic.cka_matrix(x, x, bandwidth=bandwidth))
    assert ((cka >= 0) & (cka <= 1)).all()
    changes = np.ptp(x, axis=1) > 0
    np.testing.assert_allclose(own, changes.astype(float), atol=1e-9)
    assert not cka[~changes].any()


# ---- Bandwidths --------------------------------------------------------------------------------


@given(
    arrays(
        np.float64,
        st.integers(2, 70),
        elements=st.one_of(
            st.integers(-3, 3).map(float), st.floats(-1e6, 1e6), st.sampled_from([0.0, 1e-9, 1e9])
        ),
    )
)
@settings(deadline=None, max_examples=200)
def test_median_bandwidth_is_that_of_all_distances(row):
    sigma = hsic_bandwidth.median_bandwidth(row[np.newaxis])[0]
    assert sigma == pytest.approx(naive_median(row), rel=1e-12, abs=1e-15 * np.abs(row).max())


@pytest.mark.parametrize("kind", kinds(np.random.default_rng(0), 1, 8))
@pytest.mark.parametrize("n", [255, 600])
def test_median_bandwidth_of_long_rows(kind, n):
    x = kinds(np.random.default_rng(n), 5, n)[kind]
    i, j = np.triu_indices(n, 1)
    distances = np.abs(x[:, i] - x[:, j])
    truth = [np.median(row) or np.median(row[row > 0]) for row in distances]
    np.testing.assert_allclose(hsic_bandwidth.median_bandwidth(x), truth, rtol=1e-12)


def test_median_of_rows_that_are_mostly_equal():
    row = np.zeros(500)
    row[:4] = [1, 2, 5, 9]
    # Of the distances that are not 0, 496 are 1, 496 are 2, 496 are 5, 496 are 9, and six others.
    distances = [1] * 496 + [2] * 496 + [5] * 496 + [9] * 496 + [1, 4, 8, 3, 7, 4]
    assert hsic_bandwidth.median_bandwidth(row[np.newaxis]) == [np.median(distances)]


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (3, 4), (6, 2)])
def test_released_bandwidth(shape):
    rng = np.random.default_rng(8)
    x, y = (rng.standard_normal((rows, 9)) for rows in shape)
    sigma = naive_sigmas(x, y, "released")[0][0]
    assert hsic_bandwidth.released_bandwidth(x, y) == pytest.approx(sigma, rel=1e-12)


def test_released_bandwidth_is_about_the_root_of_twice_the_samples():
    x, y = hsic.standardise(np.random.default_rng(9).standard_normal((60, 400))).reshape(2, 30, 400)
    assert hsic_bandwidth.released_bandwidth(x, y) == pytest.approx(np.sqrt(800), rel=0.02)


# ---- CKA, permutation test, sets ---------------------------------------------------------------


@pytest.mark.parametrize("n", [12, 300])
def test_cka(n):
    rng = np.random.default_rng(10)
    x = rng.standard_normal((3, n))
    y = np.array([3 - 2 * x[0], x[0] ** 2, np.ones(n)])
    cka = hsic.cka_matrix(x, y)
    own = [np.diag(naive(side, side)) for side in (x, y[:2])]
    expected = naive(x, y[:2]) / np.sqrt(np.outer(*own))
    np.testing.assert_allclose(cka[:, :2], expected, atol=1e-8)
    assert cka[0, 0] == pytest.approx(1, abs=1e-8)
    assert (cka[:, 2] == 0).all()


@pytest.mark.parametrize("estimator", ["unbiased", "released"])
def test_cka_of_other_estimators(estimator):
    x = np.random.default_rng(11).standard_normal((4, 150))
    values, truth = hsic.cka_matrix(x, x, estimator=estimator), naive(x, x, "median", estimator)
    own = np.diag(truth)
    np.testing.assert_allclose(values, truth / np.sqrt(np.outer(own, own)), atol=1e-7)


def test_permutation_test_counts_what_reaches():
    rng = np.random.default_rng(12)
    x = rng.standard_normal(30)
    y = x + rng.standard_normal(30)
    test = hsic.permutation_test(x, y, permutations=99, seed=3)
    assert test.hsic == pytest.approx(naive(x[np.newaxis], y[np.newaxis])[0, 0], rel=1e-10)
    assert test.null.shape == (99,)
    assert test.p_value == (1 + (test.null >= test.hsic).sum()) / 100
    # The null holds HSICs of permuted rows: for 4 samples these are known, all 24 of them.
    few = hsic.permutation_test([0, 1, 2, 4], [0, 1, 3, 9], permutations=200)
    orders = np.array(np.meshgrid(*[range(4)] * 4)).reshape(4, -1).T
    rows = np.array([0.0, 1, 3, 9])[[order for order in orders if len(set(order)) == 4]]
    possible = naive(np.array([[0.0, 1, 2, 4]]), rows)[0]
    assert np.abs(few.null[:, np.newaxis] - possible).min(1).max() < 1e-12
    assert len(np.unique(few.null.round(10))) == len(np.unique(possible.round(10)))


def test_permutation_test_finds_dependence_and_nothing_else():
    rng = np.random.default_rng(13)
    x = rng.standard_normal(80)
    assert hsic.permutation_test(x, np.cos(3 * x), permutations=199).p_value == 1 / 200
    p = [
        hsic.permutation_test(*rng.standard_normal((2, 25)), permutations=39, seed=k).p_value
        for k in range(120)
    ]
    # Uniform on 1/40 ... 1: mean 0.5125, standard error 0.026.
    assert abs(np.mean(p) - 0.5125) < 0.1
    assert 0.02 < np.mean(np.array(p) <= 0.1) < 0.2


def test_permutation_test_is_seeded_and_minds_ties():
    x, y = np.random.default_rng(14).standard_normal((2, 20))
    one, same, other = (hsic.permutation_test(x, y, seed=seed).null for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert hsic.permutation_test(np.ones(20), y).p_value == 1
    # Of the 6 ways to place two ones among four samples, 2 give this HSIC: p is about 1/3.
    ties = hsic.permutation_test([0, 0, 1, 1], [0, 0, 1, 1], permutations=2999)
    assert ties.p_value == pytest.approx(1 / 3, abs=0.04)


def test_set_similarity():
    matrix = [[0.1, 0.5, 0.2], [0.3, 0.0, 0.1]]
    # Rows: 0.5 and 0.3; columns: 0.3, 0.5 and 0.2.
    assert hsic.set_similarity(matrix) == pytest.approx((0.8 / 2 + 1.0 / 3) / 2)
    with pytest.raises(InputError, match="at least one neuron"):
        hsic.set_similarity(np.zeros((0, 3)))


def test_standardise():
    x = np.array([[1.0, 2, 6], [0.1, 0.1, 0.1], [1e8, 1e8 + 1, 1e8]])
    z = hsic.standardise(x)
    np.testing.assert_allclose(z.mean(1), 0, atol=1e-7)
    np.testing.assert_allclose(z.std(1), [1, 0, 1])
    assert (z[1] == 0).all()
    assert x[0, 0] == 1.0
    assert hsic.standardise(np.zeros((0, 3))).shape == (0, 3)


# ---- Bad input ---------------------------------------------------------------------------------

GOOD = np.arange(12.0).reshape(2, 6) ** 2
HOLE = np.where(GOOD == 4, np.nan, GOOD)


@pytest.mark.parametrize(
    ("x", "options", "words"),
    [
        (GOOD[:, :5], {}, "5 columns and y has 6"),
        (GOOD[0], {}, "two-dimensional"),
        (HOLE, {}, "x holds values that are NaN, infinite or beyond"),
        (np.where(GOOD == 4, np.inf, GOOD), {}, "NaN, infinite"),
        (GOOD.astype(complex), {}, "complex128"),
        ([["a", "b"]], {}, "real numbers"),
        ([[1, 2], [3]], {}, "not of one length"),
        (GOOD, {"estimator": "best"}, "no HSIC estimator 'best': use biased, unbiased, released"),
        (
            GOOD,
            {"bandwidth": "mean"},
            "'median', 'released' or a positive number, but it is 'mean'",
        ),
        (GOOD, {"bandwidth": 0}, "positive number, but it is 0"),
        (GOOD, {"bandwidth": -1.0}, "positive number"),
        (GOOD, {"bandwidth": np.nan}, "positive number"),
        (GOOD, {"bandwidth": np.inf}, "positive number"),
        (GOOD, {"bandwidth": True}, "positive number"),
        (GOOD, {"bandwidth": None}, "positive number"),
        (GOOD, {"tolerance": 0}, "between 0 and 1"),
        (GOOD, {"tolerance": np.nan}, "between 0 and 1"),
        (GOOD * 1e140, {"bandwidth": 1e-9}, "too small for the size"),
        (GOOD * 1e200, {}, "beyond 1e.150"),
    ],
)
def test_bad_input_is_told_in_a_sentence(x, options, words):
    for function in (hsic.hsic_matrix, hsic.cka_matrix):
        with pytest.raises(InputError, match=words) as told:
            function(x, GOOD, **options)
        assert str(told.value).endswith(".")
        assert "\n" not in str(told.value)


def test_too_few_samples():
    with pytest.raises(InputError, match="at least 2 samples, but there are 1"):
        hsic.hsic_matrix([[1.0]], [[1.0]])
    with pytest.raises(InputError, match="at least 2 samples, but there are 0"):
        hsic.hsic_matrix(np.zeros((1, 0)), np.zeros((1, 0)))
    with pytest.raises(InputError, match="unbiased HSIC needs at least 4 samples"):
        hsic.hsic_matrix([[1, 2, 3]], [[1, 2, 4]], estimator="unbiased")


@pytest.mark.parametrize("x", [1.0, GOOD, [1, np.nan, 3], [1, 2]])
def test_bad_rows_of_a_permutation_test(x):
    with pytest.raises(InputError):
        hsic.permutation_test(x, [1, 2, 3])
    with pytest.raises(InputError, match="at least one permutation"):
        hsic.permutation_test([1, 2, 4], [1, 2, 3], permutations=0)


def test_it_runs_without_torch():
    code = "import sys, bridgex_core.hsic; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
