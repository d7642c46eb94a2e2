import itertools
import math
import time
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import squareform
from scipy.stats import spearmanr

from bridgex_core import similarity as sim
from bridgex_core.errors import InputError

NAN = math.nan


def matrix_of(pairs, diagonal=1.0):
    """A similarity matrix from its pairs, in the order of off_diagonal."""
    matrix = squareform(np.asarray(pairs, dtype=float))
    np.fill_diagonal(matrix, diagonal)
    return matrix


def random_matrix(languages, seed, unknown=0.0, levels=None):
    rng = np.random.default_rng(seed)
    pairs = rng.random(languages * (languages - 1) // 2)
    if levels:
        pairs = np.floor(pairs * levels) / levels
    pairs[rng.random(len(pairs)) < unknown] = NAN
    return matrix_of(pairs)


def scipy_rho(x, y):
    if len(x) < 2 or len(set(x)) == 1 or len(set(y)) == 1:
        return NAN
    return spearmanr(x, y).statistic


def naive_rho(a, b):
    x, y = [], []
    for i in range(len(a)):
        for j in range(i + 1, len(a)):
            if not math.isnan(a[i, j]) and not math.isnan(b[i, j]):
                x.append(a[i, j])
                y.append(b[i, j])
    return scipy_rho(x, y)


def naive_resampled_rho(a, b, drawn):
    x, y = [], []
    for p in range(len(drawn)):
        for q in range(p + 1, len(drawn)):
            i, j = drawn[p], drawn[q]
            if i != j and not math.isnan(a[i, j]) and not math.isnan(b[i, j]):
                x.append(a[i, j])
                y.append(b[i, j])
    return scipy_rho(x, y)


def naive_permuted_rho(a, b, order):
    moved = np.empty_like(b)
    for i in range(len(b)):
        for j in range(len(b)):
            moved[i, j] = b[order[i], order[j]]
    return naive_rho(a, moved)


@st.composite
def matrices(draw, count=1, fewest=2, most=7, unknown=True):
    """Matrices over the same languages, of few levels (so with ties), some with unknown pairs."""
    languages = draw(st.integers(fewest, most))
    level = st.integers(-3, 6).map(lambda n: n / 4)
    cell = st.one_of(level, level, st.just(NAN)) if unknown else level
    size = languages * (languages - 1) // 2
    return [matrix_of(draw(arrays(float, size, elements=cell)), 2.0) for _ in range(count)]


# ---- the matrix and its pairs --------------------------------------------------------------------


def test_off_diagonal_goes_row_by_row():
    matrix = [[9, 1, 2, 3], [1, 9, 4, 5], [2, 4, 9, 6], [3, 5, 6, 9]]
    assert sim.off_diagonal(matrix).tolist() == [1, 2, 3, 4, 5, 6]
    assert sim.off_diagonal([[1.0]]).shape == (0,)


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (np.zeros((2, 3)), "square"),
        (np.zeros(4), "square"),
        ([[1, np.inf], [np.inf, 1]], "infinite"),
        ([[1, 0.2], [0.3, 1]], "not symmetric"),
        ([[1, NAN], [0.3, 1]], "not symmetric"),
    ],
)
def test_what_is_no_similarity_matrix_is_told(matrix, words):
    with pytest.raises(InputError, match=words):
        sim.off_diagonal(matrix)


def test_rounding_noise_between_the_halves_is_no_asymmetry():
    assert sim.off_diagonal([[1, 0.3], [0.3 + 1e-9, 1]]).tolist() == [0.3]


# ---- rho -----------------------------------------------------------------------------------------


def test_rho_of_four_languages_by_hand():
    # Six pairs, each two ranks swapped: sum of d² is 6, rho = 1 - 6·6 / (6·35).
    a, b = matrix_of([1, 2, 3, 4, 5, 6]), matrix_of([2, 1, 4, 3, 6, 5])
    assert sim.spearman(a, b) == pytest.approx(1 - 36 / 210)


def test_rho_with_ties_by_hand():
    # Ranks 1.5 1.5 3 against 1 2 3: covariance 1.5, variances 1.5 and 2.
    a, b = matrix_of([5, 5, 7]), matrix_of([1, 2, 3])
    assert sim.spearman(a, b) == pytest.approx(1.5 / math.sqrt(1.5 * 2))


def test_rho_leaves_out_pairs_unknown_in_either():
    a = matrix_of([1, NAN, 3, 4, 5, 6])
    b = matrix_of([1, 9, 2, NAN, 4, 3])
    assert sim.spearman(a, b) == pytest.approx(spearmanr([1, 3, 5, 6], [1, 2, 4, 3]).statistic)


def test_rho_ignores_the_diagonal():
    a, b = random_matrix(6, 1), random_matrix(6, 2)
    blank = a.copy()
    np.fill_diagonal(blank, NAN)
    assert sim.spearman(blank, b) == sim.spearman(a, b)


@pytest.mark.parametrize("pairs", [[], [1], [2, 2, 2], [NAN, NAN, NAN], [1, NAN, NAN]])
def test_rho_is_undefined_without_two_different_pairs(pairs):
    a = matrix_of(pairs) if pairs else np.ones((1, 1))
    b = matrix_of(np.arange(len(pairs))) if pairs else np.ones((1, 1))
    assert math.isnan(sim.spearman(a, b))


def test_rho_needs_the_same_languages():
    with pytest.raises(InputError, match="same languages"):
        sim.spearman(np.eye(3), np.eye(4))


@settings(deadline=None)
@given(matrices(count=2))
def test_rho_equals_scipys(pair):
    a, b = pair
    assert sim.spearman(a, b) == pytest.approx(naive_rho(a, b), nan_ok=True, abs=1e-12)


@settings(deadline=None)
@given(matrices(count=2), st.randoms(use_true_random=False))
def test_rho_is_symmetric_bounded_and_blind_to_names_and_scales(pair, random):
    a, b = pair
    rho = sim.spearman(a, b)
    order = list(range(len(a)))
    random.shuffle(order)
    same = pytest.approx(rho, nan_ok=True, abs=1e-12)
    assert sim.spearman(b, a) == same
    assert sim.spearman(a[np.ix_(order, order)], b[np.ix_(order, order)]) == same
    assert sim.spearman(np.exp(a), b) == same
    assert sim.spearman(-a, b) == pytest.approx(-rho, nan_ok=True, abs=1e-12)
    assert math.isnan(rho) or -1 <= rho <= 1


@settings(deadline=None)
@given(matrices())
def test_a_matrix_agrees_with_itself_exactly(single):
    (a,) = single
    known = sim.off_diagonal(a)
    known = known[~np.isnan(known)]
    expected = 1.0 if len(set(known)) > 1 else NAN
    assert sim.spearman(a, a) == pytest.approx(expected, nan_ok=True, abs=0)


def test_agreement_is_rho_of_every_two():
    rates = [random_matrix(8, seed, unknown=0.1, levels=5) for seed in range(4)]
    rho = sim.agreement(rates)
    assert rho.shape == (4, 4)
    for i, j in itertools.product(range(4), repeat=2):
        assert rho[i, j] == pytest.approx(naive_rho(rates[i], rates[j]), abs=1e-12)
    assert sim.agreement([]).shape == (0, 0)


def test_spearman_brown():
    assert sim.spearman_brown(0.8) == pytest.approx(8 / 9)
    assert sim.spearman_brown(1.0) == 1.0
    assert sim.spearman_brown(0.0) == 0.0
    assert sim.spearman_brown(-1.0) == -math.inf
    assert math.isnan(sim.spearman_brown(NAN))
    with pytest.raises(InputError, match="between -1 and 1"):
        sim.spearman_brown(1.2)


# ---- interval and test ---------------------------------------------------------------------------

CASES = [
    pytest.param(unknown, levels, id=f"unknown={unknown},levels={levels}")
    for unknown in (0.0, 0.3)
    for levels in (None, 3)
]


@pytest.mark.parametrize(("unknown", "levels"), CASES)
def test_permuted_rhos_equal_a_naive_mantel_loop(unknown, levels):
    a, b = random_matrix(7, 1, unknown, levels), random_matrix(7, 2, unknown, levels)
    rng = np.random.default_rng(3)
    orders = np.array([rng.permutation(7) for _ in range(60)])
    found = sim._permuted_rhos(sim.off_diagonal(a), sim.off_diagonal(b), orders)
    naive = [naive_permuted_rho(a, b, order) for order in orders]
    assert found == pytest.approx(naive, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize(("unknown", "levels"), CASES)
def test_resampled_rhos_equal_a_naive_bootstrap_loop(unknown, levels):
    a, b = random_matrix(6, 4, unknown, levels), random_matrix(6, 5, unknown, levels)
    draws = np.random.default_rng(6).integers(6, size=(60, 6))
    draws[0], draws[1] = 2, [0, 0, 0, 1, 1, 1]  # no pair, and one pair nine times
    found = sim._resampled_rhos(sim.off_diagonal(a), sim.off_diagonal(b), draws)
    naive = [naive_resampled_rho(a, b, drawn) for drawn in draws]
    assert found == pytest.approx(naive, abs=1e-12, nan_ok=True)
    assert np.isnan(found[:2]).all()


def test_blocks_do_not_change_the_result(monkeypatch):
    a, b = random_matrix(6, 1, 0.2), random_matrix(6, 2)
    whole = sim.correlate(a, b, permutations=200, resamples=100)
    monkeypatch.setattr(sim, "_BLOCK", 1)
    assert sim.correlate(a, b, permutations=200, resamples=100) == whole


@pytest.mark.parametrize("levels", [None, 3])
def test_p_value_approaches_that_of_all_permutations(levels):
    a, b = random_matrix(5, 11, levels=levels), random_matrix(5, 12, levels=levels)
    rho = naive_rho(a, b)
    everyone = [naive_permuted_rho(a, b, order) for order in itertools.permutations(range(5))]
    exact = np.mean([abs(one) >= abs(rho) - 1e-9 for one in everyone])
    found = sim.correlate(a, b)
    assert 0.02 < exact < 0.98
    assert found.rho == pytest.approx(rho)
    assert found.p_value == pytest.approx(exact, abs=4 * math.sqrt(0.25 / 9999))


def test_interval_is_that_of_all_resamples():
    a, b = random_matrix(5, 21), random_matrix(5, 22)
    everyone = [naive_resampled_rho(a, b, drawn) for drawn in itertools.product(range(5), repeat=5)]
    low, high = np.nanquantile(everyone, [0.1, 0.9])
    found = sim.correlate(a, b, resamples=20_000, permutations=1, confidence=0.8)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.03)
    assert found.resamples == pytest.approx(20_000 * np.isfinite(everyone).mean(), rel=0.01)


def test_p_value_counts_the_observed_order_and_both_tails():
    a = random_matrix(9, 1)
    for other in (a, -a):
        found = sim.correlate(a, other, permutations=999)
        assert abs(found.rho) == 1
        assert found.p_value == pytest.approx(1 / 1000)


def test_p_values_are_uniform_when_nothing_is_shared():
    p = [
        sim.correlate(
            random_matrix(6, seed), random_matrix(6, 1000 + seed), resamples=1, permutations=99
        ).p_value
        for seed in range(300)
    ]
    assert np.mean(np.array(p) <= 0.1) == pytest.approx(0.1, abs=0.05)
    assert np.mean(p) == pytest.approx(0.5, abs=0.06)


def test_languages_without_a_pair_known_in_both_are_dropped():
    a, b = random_matrix(6, 1), random_matrix(6, 2)
    wide_a, wide_b = random_matrix(8, 3), random_matrix(8, 4)
    keep = [0, 1, 3, 4, 6, 7]
    wide_a[np.ix_(keep, keep)], wide_b[np.ix_(keep, keep)] = a, b
    wide_a[2, :] = wide_a[:, 2] = NAN
    wide_b[5, :] = wide_b[:, 5] = NAN
    assert sim.correlate(wide_a, wide_b, permutations=99) == sim.correlate(a, b, permutations=99)


def test_gaps_move_with_the_permuted_matrix():
    a, b = random_matrix(7, 1), random_matrix(7, 2, unknown=0.3)
    found = sim.correlate(a, b, resamples=10, permutations=500, seed=5)
    assert found.languages == 7
    assert found.pairs == np.isfinite(sim.off_diagonal(b)).sum() < 21
    order = np.tile(np.arange(7), (500, 1))
    orders = np.random.default_rng(5).spawn(2)[1].permuted(order, axis=1)
    shuffled = np.array([naive_permuted_rho(a, b, order) for order in orders])
    reached = np.sum(np.abs(shuffled) >= abs(found.rho) - 1e-12)
    assert found.p_value == pytest.approx((1 + reached) / 501)


def test_permutations_without_a_rho_count_against_the_finding():
    # Two known pairs on each side that touch all four languages: most permutations part them.
    a = matrix_of([1, NAN, NAN, NAN, NAN, 2])
    found = sim.correlate(a, a, permutations=2000)
    assert (found.rho, found.pairs, found.languages) == (1.0, 2, 4)
    assert found.p_value == 1.0


def test_a_constant_matrix_has_no_rho():
    found = sim.correlate(np.ones((5, 5)), random_matrix(5, 1))
    assert all(math.isnan(value) for value in (found.rho, found.low, found.high, found.p_value))
    assert (found.languages, found.pairs, found.resamples, found.permutations) == (5, 10, 0, 0)


def test_no_resample_with_a_rho_leaves_the_interval_undefined():
    # One pair differs from the rest, so few resamples of four hold it and another.
    a = matrix_of([2, 1, 1, 1, 1, 1])
    undefined = next(
        found
        for found in (sim.correlate(a, a, resamples=1, seed=s) for s in range(50))
        if found.resamples == 0
    )
    assert math.isnan(undefined.low)
    assert math.isnan(undefined.high)
    assert undefined.rho == 1.0


@pytest.mark.parametrize("languages", [1, 2, 3])
def test_too_few_languages_are_told(languages):
    with pytest.raises(InputError, match="at least 4 languages"):
        sim.correlate(np.eye(languages), np.eye(languages))


def test_too_few_known_languages_are_told():
    a = random_matrix(5, 1)
    a[:2, :] = a[:, :2] = NAN
    with pytest.raises(InputError, match="there are 3"):
        sim.correlate(a, random_matrix(5, 2))


@pytest.mark.parametrize(
    "settings_",
    [{"resamples": 0}, {"permutations": 0}, {"confidence": 0.0}, {"confidence": 95.0}],
)
def test_bad_settings_are_told(settings_):
    with pytest.raises(InputError):
        sim.correlate(random_matrix(5, 1), random_matrix(5, 2), **settings_)


def test_the_seed_decides_and_each_stream_is_its_own():
    a, b = random_matrix(8, 1), random_matrix(8, 2)
    found = sim.correlate(a, b, resamples=50, permutations=99)
    assert found == sim.correlate(a, b, resamples=50, permutations=99)
    other = sim.correlate(a, b, resamples=50, permutations=99, seed=1)
    assert (found.low, found.p_value) != (other.low, other.p_value)
    assert sim.correlate(a, b, resamples=50, permutations=5).low == found.low
    assert sim.correlate(a, b, resamples=5, permutations=99).p_value == found.p_value


@settings(max_examples=40, deadline=None)
@given(matrices(count=2, fewest=4))
def test_correlation_keeps_its_bounds(pair):
    a, b = pair
    try:
        found = sim.correlate(a, b, resamples=30, permutations=19)
    except InputError:
        assume(False)
    assert found.rho == pytest.approx(naive_rho(a, b), nan_ok=True, abs=1e-12)
    if not math.isnan(found.rho):
        assert 1 / 20 <= found.p_value <= 1
        assert math.isnan(found.low) or -1 <= found.low <= found.high <= 1


def test_fifteen_languages_take_a_moment():
    a, b = random_matrix(15, 1), random_matrix(15, 2, unknown=0.1)
    start = time.process_time()
    sim.correlate(a, b)
    assert time.process_time() - start < 2  # 0.08 s when measured alone


# ---- distances and tree --------------------------------------------------------------------------


def test_distances_are_from_the_largest_similarity():
    distance = sim.distances(matrix_of([0.9, 0.4, 0.1]))
    assert distance == pytest.approx(np.array([[0, 0.1, 0.6], [0.1, 0, 0.9], [0.6, 0.9, 0]]))


def test_unknown_pairs_get_the_mean_of_their_languages():
    # Language 0 knows .8 and .6 (mean .7), language 3 knows .4 and .2 (mean .3): filled .5.
    similarity = matrix_of([0.8, 0.6, NAN, 0.5, 0.4, 0.2])
    assert sim.distances(similarity)[0, 3] == pytest.approx(1 - 0.5)


def test_a_language_without_known_pairs_stands_at_the_overall_mean():
    # Known: .9 .6 .3 of languages 0, 1, 2 (means .75, .6, .45); the mean of all is .6.
    similarity = matrix_of([0.9, 0.6, NAN, 0.3, NAN, NAN])
    assert sim.distances(similarity)[3, :3] == pytest.approx([1 - 0.675, 1 - 0.6, 1 - 0.525])


@settings(deadline=None)
@given(matrices())
def test_distances_are_distances(single):
    (similarity,) = single
    assume(np.isfinite(sim.off_diagonal(similarity)).any())
    distance = sim.distances(similarity)
    assert np.isfinite(distance).all()
    assert (distance >= 0).all()
    assert (distance == distance.T).all()
    assert not distance.diagonal().any()


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        ([[1.0]], "at least two"),
        (np.zeros((0, 0)), "at least two"),
        ([[1, NAN], [NAN, 1]], "known"),
    ],
)
def test_nothing_to_arrange_is_told(matrix, words):
    with pytest.raises(InputError, match=words):
        sim.cluster(matrix)


def test_tree_of_four_languages_by_hand():
    # 0 and 2 meet at .1, 1 and 3 at .2, the two pairs at the mean of .6 .7 .8 .9.
    similarity = 1 - matrix_of([0.6, 0.1, 0.7, 0.8, 0.2, 0.9], 0.0)
    tree = sim.cluster(similarity)
    assert tree.linkage[:, 2] == pytest.approx([0.1, 0.2, 0.75])
    # Of the orders that fit, 2 0 1 3 has neighbours .1 + .6 + .2, the least.
    assert tree.order in ((2, 0, 1, 3), (3, 1, 0, 2))


def naive_average_linkage(distance):
    clusters, heights = [[i] for i in range(len(distance))], []
    while len(clusters) > 1:
        means = {
            (p, q): np.mean([distance[i, j] for i in clusters[p] for j in clusters[q]])
            for p, q in itertools.combinations(range(len(clusters)), 2)
        }
        p, q = min(means, key=means.get)
        heights.append(means[p, q])
        clusters[p] += clusters.pop(q)
    return heights


def test_tree_heights_equal_a_naive_average_linkage():
    similarity = random_matrix(9, 7)
    heights = sim.cluster(similarity).linkage[:, 2]
    assert heights == pytest.approx(naive_average_linkage(sim.distances(similarity)))


@settings(max_examples=50, deadline=None)
@given(matrices())
def test_order_is_a_permutation_and_repeats(single):
    (similarity,) = single
    assume(np.isfinite(sim.off_diagonal(similarity)).any())
    tree = sim.cluster(similarity)
    assert sorted(tree.order) == list(range(len(similarity)))
    assert tree.linkage.shape == (len(similarity) - 1, 4)
    again = sim.cluster(similarity)
    assert again.order == tree.order
    assert (again.linkage == tree.linkage).all()


def test_segments_stand_on_the_leaves():
    similarity = 1 - matrix_of([0.6, 0.1, 0.7, 0.8, 0.2, 0.9], 0.0)
    xs, ys = sim.tree_segments(sim.cluster(similarity))
    assert xs.shape == ys.shape == (3, 4)
    brackets = {tuple(x): tuple(y.round(9)) for x, y in zip(xs, ys, strict=True)}
    left, right = (0.1, 0.2) if brackets[0, 0, 1, 1][1] == 0.1 else (0.2, 0.1)
    assert brackets == {
        (0, 0, 1, 1): (0, left, left, 0),
        (2, 2, 3, 3): (0, right, right, 0),
        (0.5, 0.5, 2.5, 2.5): (left, 0.75, 0.75, right),
    }


def test_each_leaf_has_one_foot():
    xs, ys = sim.tree_segments(sim.cluster(random_matrix(12, 3)))
    assert sorted(xs[:, [0, 3]][ys[:, [0, 3]] == 0]) == list(range(12))


def test_nothing_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for unknown in (0.0, 0.4):
            a, b = random_matrix(8, 1, unknown, 3), random_matrix(8, 2, unknown, 3)
            sim.correlate(a, b, resamples=200, permutations=99)
            sim.tree_segments(sim.cluster(a))
