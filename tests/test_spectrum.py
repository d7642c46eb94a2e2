"""The spectrum against naive loops, and the properties its mathematics promises."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgex_core.activations import ActivationStats
from bridgex_core.errors import InputError
from bridgex_core.languages import register
from bridgex_core.neurons import ActivationTable
from bridgex_core.spectrum import (
    METRICS,
    SET_METRICS,
    SpectrumSettings,
    order_languages,
    rate_agreement,
    saturation,
    select,
    spectrum,
    spectrum_of_sets,
    split_half,
)

CODES = ("eng_Latn", "deu_Latn", "fra_Latn", "heb_Hebr", "swh_Latn")


def random_stats(seed: int, blocks: int = 6, layers: int = 4, width: int = 25):
    rng = np.random.default_rng(seed)
    base = rng.beta(0.5, 1.5, (layers, width))
    stats = {}
    for code in CODES:
        p = np.clip(base + rng.normal(scale=0.15, size=base.shape), 0, 1)
        tokens = rng.integers(20, 60, blocks)
        counts = rng.binomial(tokens[:, None, None], p)
        stats[code] = ActivationStats(counts, counts * 0.3 + rng.normal(size=counts.shape), tokens)
    return stats


def naive(table: ActivationTable, wanted: SpectrumSettings) -> np.ndarray:
    """Sets as Python sets, sums as Python loops, in float64."""
    low, high = wanted.band
    layers = [layer for layer in range(table.layers) if low <= layer / table.layers < high]
    masks = select(table, wanted).masks
    sets = [
        {(layer, n) for layer in layers for n in range(table.width) if mask[layer, n]}
        for mask in masks
    ]
    p = table.probability
    mean = p.mean(0)
    size = len(sets)
    values = np.eye(size)
    for i in range(size):
        for j in range(size):
            shared, union = sets[i] & sets[j], sets[i] | sets[j]
            if wanted.metric == "count":
                values[i, j] = len(shared)
            elif i == j:
                continue
            elif wanted.metric == "jaccard":
                values[i, j] = len(shared) / len(union) if union else 0
            elif wanted.metric == "overlap":
                smaller = min(len(sets[i]), len(sets[j]))
                values[i, j] = len(shared) / smaller if smaller else 0
            else:
                centre, over = (
                    (0 * mean, shared) if wanted.metric == "activation" else (mean, union)
                )
                x, y = ([p[k][n] - centre[n] for n in sorted(over)] for k in (i, j))
                length = np.sqrt(sum(v * v for v in x) * sum(v * v for v in y))
                values[i, j] = (
                    sum(a * b for a, b in zip(x, y, strict=True)) / length if length else 0
                )
    return values


some_settings = st.builds(
    SpectrumSettings,
    metric=st.sampled_from(METRICS),
    selection=st.sampled_from(["active", "distinctive"]),
    top_rate=st.floats(0.01, 0.5),
    ties=st.sampled_from(["break", "include"]),
    band=st.sampled_from([(0.0, 1.0), (0.0, 0.5), (0.25, 0.75), (0.75, 1.0)]),
)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1000), some_settings)
def test_equals_the_naive_definition(seed, wanted):
    table = ActivationTable.of(random_stats(seed))
    np.testing.assert_allclose(
        spectrum(table, wanted).values, naive(table, wanted), rtol=1e-9, atol=1e-12
    )


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1000), some_settings, st.permutations(range(5)))
def test_symmetric_bounded_and_indifferent_to_the_order_of_languages(seed, wanted, order):
    stats = random_stats(seed)
    matrix = spectrum(ActivationTable.of(stats), wanted)
    np.testing.assert_allclose(matrix.values, matrix.values.T)
    assert (np.diag(matrix.shared) == matrix.sizes).all()
    if wanted.metric != "count":
        assert (np.diag(matrix.values) == 1).all()
        assert (np.abs(matrix.values) <= 1 + 1e-9).all()
    else:
        assert (matrix.values <= np.minimum.outer(matrix.sizes, matrix.sizes)).all()
    shuffled = {list(stats)[i]: stats[list(stats)[i]] for i in order}
    again = spectrum(ActivationTable.of(shuffled), wanted)
    moved = matrix.reorder(order)
    assert again.languages == moved.languages
    np.testing.assert_allclose(again.values, moved.values, atol=1e-12)
    assert (again.shared == moved.shared).all()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), some_settings, st.permutations(range(5)), st.integers(1, 5))
def test_some_rows_are_that_part_of_the_whole(seed, wanted, order, count):
    table = ActivationTable.of(random_stats(seed))
    rows = order[:count]
    whole, part = spectrum(table, wanted).reorder(rows), spectrum(table, wanted, rows=rows)
    assert part.languages == whole.languages
    np.testing.assert_allclose(part.values, whole.values, atol=1e-12)
    assert (part.shared == whole.shared).all()


def test_jaccard_by_hand():
    """Two languages, four neurons, top half: {0, 1} and {1, 2} share one of three."""
    counts = np.array([[[9, 8, 1, 0]], [[0, 8, 9, 1]]])
    table = ActivationTable(("a", "b"), counts, np.zeros((2, 1, 4)), np.array([10, 10]))
    matrix = spectrum(table, SpectrumSettings(top_rate=0.5))
    assert matrix.values[0, 1] == pytest.approx(1 / 3)
    assert matrix.shared.tolist() == [[2, 1], [1, 2]]
    assert matrix.to_frame().loc["a", "b"] == matrix.values[0, 1]


def test_identical_languages_are_identical():
    stats = random_stats(3)
    stats["deu_Latn"] = stats["eng_Latn"]
    for metric in ("jaccard", "overlap", "activation", "centred"):
        assert spectrum(ActivationTable.of(stats), SpectrumSettings(metric)).values[0, 1] == (
            pytest.approx(1.0)
        )


def test_split_half_of_a_clear_picture_is_high_and_of_noise_is_not():
    clear = random_stats(4, blocks=8, layers=6, width=80)
    noise = {
        code: ActivationStats(
            np.random.default_rng(i).integers(0, 20, s.positive_counts.shape),
            s.sums,
            s.token_counts,
        )
        for i, (code, s) in enumerate(clear.items())
    }
    wanted = SpectrumSettings(top_rate=0.1)
    assert split_half(clear, wanted).rho > 0.6 > abs(split_half(noise, wanted).rho)
    assert split_half(clear, wanted).corrected > split_half(clear, wanted).rho


def test_rate_agreement_is_one_with_itself():
    table = ActivationTable.of(random_stats(0))
    frame = rate_agreement(table, SpectrumSettings(top_rate=0.1), rates=(0.05, 0.1, 0.3))
    assert frame.top_rate.tolist() == [0.05, 0.1, 0.3]
    assert frame.rho[1] == pytest.approx(1.0)
    assert (frame.rho.abs() <= 1).all()


def test_saturation_counts_neurons_that_are_always_active():
    counts = np.array([[[10, 10, 10, 3]], [[9, 2, 1, 0]], [[10, 0, 0, 0]]])
    table = ActivationTable(tuple("abc"), counts, np.ones((3, 1, 4)), np.array([10, 10, 10]))
    frame = saturation(table, SpectrumSettings(top_rate=0.5))
    assert frame.saturated.tolist() == [3, 0, 1]
    assert frame.set_size.tolist() == [2, 2, 2]
    assert frame.chosen_by_tie_break.tolist() == [2, 0, 1]


@pytest.mark.parametrize("metric", SET_METRICS)
@pytest.mark.parametrize("band", [(0.0, 1.0), (0.25, 0.75)])
def test_a_spectrum_of_given_sets_is_that_of_their_statistics(metric, band):
    table = ActivationTable.of(random_stats(6))
    wanted = SpectrumSettings(metric, top_rate=0.2, band=band)
    whole, given = spectrum(table, wanted), spectrum_of_sets(select(table, wanted), wanted)
    np.testing.assert_array_equal(given.values, whole.values)
    np.testing.assert_array_equal(given.shared, whole.shared)
    np.testing.assert_array_equal(given.sizes, whole.sizes)
    assert (given.languages, given.layers) == (whole.languages, whole.layers)


def test_sets_alone_have_no_activation_similarity():
    sets = select(ActivationTable.of(random_stats(6)), SpectrumSettings(top_rate=0.2))
    for metric in ("activation", "centred"):
        with pytest.raises(InputError, match="needs activation statistics.*jaccard"):
            spectrum_of_sets(sets, SpectrumSettings(metric))
    one = replace(sets, languages=sets.languages[:1], masks=sets.masks[:1])
    with pytest.raises(InputError, match="at least two"):
        spectrum_of_sets(one)


def test_orderings():
    languages = register().resolve_all(CODES)
    matrix = spectrum(ActivationTable.of(random_stats(5)), SpectrumSettings(top_rate=0.1))
    by_name = order_languages(matrix, languages, "alphabet")
    names = [languages[i].name for i in by_name.order]
    assert names == sorted(names)
    by_family = order_languages(matrix, languages, "family")
    families = [languages[i].family for i in by_family.order]
    assert families == sorted(families)
    clustered = order_languages(matrix, languages)
    assert sorted(clustered.order) == list(range(5))
    assert clustered.tree is not None
    with pytest.raises(InputError, match="clustering, family, alphabet"):
        order_languages(matrix, languages, "size")


def test_bad_settings_are_refused():
    table = ActivationTable.of(random_stats(0))
    with pytest.raises(InputError, match="jaccard, overlap"):
        spectrum(table, SpectrumSettings(metric="cosine"))
    one = replace(
        table,
        languages=table.languages[:1],
        counts=table.counts[:1],
        means=table.means[:1],
        tokens=table.tokens[:1],
    )
    with pytest.raises(InputError, match="at least two"):
        spectrum(one, SpectrumSettings())
