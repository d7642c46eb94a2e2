import itertools
from math import comb, inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bridgex_core.statistical_tests import (
    bootstrap_interval,
    holm,
    mcnemar,
    mean_reciprocal_rank,
    paired_bootstrap,
    sign_flip,
)

SCORES = st.lists(st.integers(-50, 50).map(lambda n: n / 10), min_size=2, max_size=12)
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def all_resamples(values):
    """Means of every possible resample, each as probable as the other."""
    return np.array([np.mean(drawn) for drawn in itertools.product(values, repeat=len(values))])


def test_interval_is_the_quantiles_of_all_resamples():
    values = [0.0, 1.0, 4.0, 9.0, 11.0]
    means = all_resamples(values)
    interval = bootstrap_interval(values, level=0.8, seed=3, resamples=40_000)
    assert interval.value == 5.0
    assert interval.level == 0.8
    assert interval.low == pytest.approx(np.quantile(means, 0.1), abs=0.2)
    assert interval.high == pytest.approx(np.quantile(means, 0.9), abs=0.2)


def test_interval_of_shares_agrees_with_the_binomial():
    values = np.repeat([1, 0], [30, 70])
    interval = bootstrap_interval(values, seed=0)
    low, high = stats.binom(100, 0.3).ppf([0.025, 0.975]) / 100
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.011)


def test_interval_of_another_statistic():
    values = np.arange(1.0, 22.0)
    interval = bootstrap_interval(values, statistic=np.median, seed=1)
    assert interval.value == 11
    assert 5 <= interval.low < 11 < interval.high <= 17


def test_interval_of_many_items_does_not_need_them_all_at_once():
    values = np.random.default_rng(0).normal(size=20_000)
    interval = bootstrap_interval(values, resamples=200, seed=0)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / np.sqrt(20_000), rel=0.2)


def test_one_item_is_its_own_interval():
    interval = bootstrap_interval([0.25])
    assert (interval.low, interval.value, interval.high) == (0.25, 0.25, 0.25)
    assert paired_bootstrap([0.25], [1.0]).p_value == 1


@settings(max_examples=25, deadline=None)
@given(SCORES, st.integers(-5, 5), st.integers(0, 99))
def test_interval_moves_with_its_items(values, shift, seed):
    plain = bootstrap_interval(values, seed=seed, resamples=200)
    moved = bootstrap_interval(np.array(values) + shift, seed=seed, resamples=200)
    assert plain == bootstrap_interval(values, seed=seed, resamples=200)
    assert min(values) - 1e-9 <= plain.low <= plain.high <= max(values) + 1e-9
    assert moved.low == pytest.approx(plain.low + shift, abs=1e-9)
    assert moved.high == pytest.approx(plain.high + shift, abs=1e-9)


def test_paired_p_value_is_the_share_of_all_resamples():
    direct = np.array([1.0, 2.0, 0.0, 3.0, 1.0, 0.0])
    bridged = np.array([2.0, 2.5, 1.0, 1.5, 3.0, 0.0])
    differences = bridged - direct
    observed = differences.mean()
    means = all_resamples(differences)
    expected = np.mean(np.abs(means - observed) >= abs(observed) - 1e-12)
    found = paired_bootstrap(direct, bridged, seed=0, resamples=40_000)
    assert found.difference == pytest.approx(observed)
    assert 0.02 < expected < 0.5
    assert found.p_value == pytest.approx(expected, abs=0.01)
    assert found.low == pytest.approx(np.quantile(means, 0.025), abs=0.1)
    assert found.high == pytest.approx(np.quantile(means, 0.975), abs=0.1)


@settings(max_examples=25, deadline=None)
@given(SCORES, st.integers(0, 99), st.data())
def test_paired_test_sees_only_differences_and_both_ways_alike(direct, seed, data):
    size = len(direct)
    bridged = data.draw(st.lists(st.sampled_from([0.0, 1.0, 2.5]), min_size=size, max_size=size))
    a, b = np.array(direct), np.array(bridged)
    found = paired_bootstrap(a, b, seed=seed, resamples=300)
    shifted = paired_bootstrap(a + 7, b + 7, seed=seed, resamples=300)
    swapped = paired_bootstrap(b, a, seed=seed, resamples=300)
    assert 1 / 301 <= found.p_value <= 1
    assert found.low <= found.high
    assert shifted.p_value == found.p_value == swapped.p_value
    assert shifted.difference == pytest.approx(found.difference, abs=1e-9)
    assert swapped.difference == pytest.approx(-found.difference, abs=1e-9)
    assert swapped.low == pytest.approx(-found.high, abs=1e-9)


def test_no_difference_has_p_one_and_a_plain_one_is_small():
    scores = np.random.default_rng(0).normal(size=80)
    assert paired_bootstrap(scores, scores).p_value == 1
    better = scores + 1 + np.random.default_rng(1).normal(size=80)
    found = paired_bootstrap(scores, better)
    assert found.low > 0
    assert found.p_value == pytest.approx(1 / 10_001)


def test_paired_p_values_are_fair_where_nothing_differs():
    generator = np.random.default_rng(5)
    rejected = 0
    for seed in range(300):
        a, b = generator.normal(size=(2, 60))
        rejected += paired_bootstrap(a, b, seed=seed, resamples=400).p_value <= 0.05
    assert 3 <= rejected <= 30  # 15 expected


def two_sided_binomial(fixed: int, broken: int) -> float:
    total, least = fixed + broken, min(fixed, broken)
    tail = sum(comb(total, k) for k in range(least + 1)) / 2**total
    return min(1.0, 2 * tail)


@pytest.mark.parametrize(
    ("fixed", "broken"), [(0, 0), (1, 0), (0, 6), (3, 3), (9, 1), (12, 5), (40, 20)]
)
def test_mcnemar_counts_the_binomial_tail(fixed, broken):
    direct = [0] * fixed + [1] * broken + [1] * 7 + [0] * 4
    bridged = [1] * fixed + [0] * broken + [1] * 7 + [0] * 4
    found = mcnemar(direct, bridged)
    assert (found.fixed, found.broken) == (fixed, broken)
    assert found.p_value == pytest.approx(two_sided_binomial(fixed, broken), rel=1e-9)
    assert mcnemar(bridged, direct).p_value == pytest.approx(found.p_value)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_sign_flips_are_counted_over_every_way(count):
    rng = np.random.default_rng(count)
    direct, bridged = rng.random(count), rng.random(count)
    items = bridged - direct
    ways = np.array(list(itertools.product([-1, 1], repeat=count)))
    means = (ways * items).mean(1)
    extreme = np.abs(means) >= abs(items.mean()) - 1e-12
    assert sign_flip(direct, bridged) == pytest.approx(extreme.mean())


def test_sign_flips_of_many_items_agree_with_the_t_test():
    rng = np.random.default_rng(3)
    direct = rng.random(200)
    bridged = direct + rng.normal(0.03, 0.2, 200)
    expected = stats.ttest_rel(bridged, direct).pvalue
    assert sign_flip(direct, bridged) == pytest.approx(expected, abs=0.01)
    assert sign_flip(direct, bridged, seed=1) == pytest.approx(expected, abs=0.01)


def test_few_items_are_never_significant_by_sign_flips():
    assert sign_flip([0.25] * 3, [0.2] * 3) == 0.25
    assert sign_flip([1], [0]) == 1
    assert sign_flip([1, 0], [1, 0]) == 1


def test_mcnemar_of_a_published_table():
    # Approval of a prime minister, asked twice (Agresti, Categorical Data Analysis): of 1600 people
    # 150 went from yes to no and 86 from no to yes, z = -4.17.
    first = np.repeat([1, 1, 0, 0], [794, 150, 86, 570])
    second = np.repeat([1, 0, 1, 0], [794, 150, 86, 570])
    found = mcnemar(first, second)
    assert (found.fixed, found.broken) == (86, 150)
    assert found.p_value == pytest.approx(2 * stats.norm.cdf(-4.17), rel=0.25)


def test_holm_of_a_published_example():
    # Wikipedia, "Holm-Bonferroni method": at 0.05 the first and the fourth are rejected.
    adjusted = holm([0.01, 0.04, 0.03, 0.005])
    assert adjusted.tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert (adjusted <= 0.05).tolist() == [True, False, False, True]


def test_holm_at_the_edges():
    assert holm([0.6, 0.5]).tolist() == [1.0, 1.0]
    assert holm([0.2]).tolist() == [0.2]
    assert holm([]).tolist() == []


def rejected_by_stepping_down(p_values, alpha):
    """Holm 1979 as told: the smallest against alpha/m, the next against alpha/(m-1), … until one
    fails."""
    left = sorted(range(len(p_values)), key=lambda k: p_values[k])
    rejected = set()
    while left and p_values[left[0]] * len(left) <= alpha:
        rejected.add(left.pop(0))
    return rejected


@given(P_VALUES, st.floats(0.001, 0.999))
def test_holm_rejects_what_stepping_down_rejects(p_values, alpha):
    adjusted = holm(p_values)
    assert {k for k, p in enumerate(adjusted) if p <= alpha} == rejected_by_stepping_down(
        p_values, alpha
    )


@given(P_VALUES, st.randoms())
def test_holm_keeps_order_and_never_lowers(p_values, random):
    adjusted = holm(p_values)
    assert (adjusted >= p_values).all()
    assert (adjusted <= np.minimum(1, np.array(p_values) * len(p_values))).all()
    by_raw = adjusted[np.argsort(p_values)]
    assert (np.diff(by_raw) >= 0).all()
    order = random.sample(range(len(p_values)), len(p_values))
    assert holm([p_values[k] for k in order]).tolist() == adjusted[order].tolist()


def test_mean_reciprocal_rank_by_hand():
    assert mean_reciprocal_rank([1, 1, 1]) == 1
    assert mean_reciprocal_rank([2, 4, inf]) == pytest.approx((1 / 2 + 1 / 4) / 3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: bootstrap_interval([]),
        lambda: bootstrap_interval([1.0, np.nan]),
        lambda: paired_bootstrap([1, 0], [1]),
        lambda: mcnemar([1, 0], [1, 0, 1]),
        lambda: mcnemar([0.5], [1]),
        lambda: holm([0.5, 1.5]),
        lambda: holm([np.nan]),
        lambda: mean_reciprocal_rank([0]),
        lambda: mean_reciprocal_rank([]),
    ],
)
def test_what_makes_no_sense_is_refused(call):
    with pytest.raises(ValueError, match=r"items|p-values|ranks|item"):
        call()
