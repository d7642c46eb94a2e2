"""Neuron sets against naive selection, property by property."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgex_core.activations import ActivationStats
from bridgex_core.errors import InputError
from bridgex_core.neurons import (
    ActivationTable,
    distinctiveness,
    layer_band,
    set_size,
    top_neurons,
)


def random_table(
    seed: int, languages: int = 4, layers: int = 3, width: int = 10
) -> ActivationTable:
    """A table with many ties and saturated neurons."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(5, 12, languages)
    counts = rng.integers(0, 13, (languages, layers, width))
    return ActivationTable(
        tuple(f"l{k}" for k in range(languages)),
        np.minimum(counts, tokens[:, None, None]),
        np.round(rng.normal(size=(languages, layers, width)), 1),
        tokens,
    )


def naive_top(score: np.ndarray, means: np.ndarray, size: int) -> set[int]:
    """Sort by score, then mean activation, then position."""
    order = sorted(range(score.size), key=lambda n: (-score[n], -means[n], n))
    return set(order[:size])


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.floats(0.04, 0.5), st.sampled_from(["active", "distinctive"]))
def test_equals_a_naive_sort(seed, rate, selection):
    table = random_table(seed)
    size = round(rate * 30)
    sets = top_neurons(table, selection=selection, top_rate=rate)
    scores = table.counts.astype(float) if selection == "active" else distinctiveness(table)
    for k in range(4):
        expected = naive_top(scores[k].ravel(), table.means[k].ravel(), size)
        assert set(np.flatnonzero(sets.masks[k])) == expected
    assert (sets.sizes == size).all()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0.04, 0.5))
def test_including_ties_takes_all_that_reach_the_threshold(seed, rate):
    table = random_table(seed)
    broken, included = (top_neurons(table, top_rate=rate, ties=t) for t in ("break", "include"))
    for k in range(4):
        threshold = sorted(table.probability[k].ravel())[-round(rate * 30)]
        assert (included.masks[k] == (table.probability[k] >= threshold)).all()
        assert (included.masks[k] >= broken.masks[k]).all()
        assert included.tied[k] == (table.probability[k] == threshold).sum()


def test_distinctiveness_by_hand():
    """Three languages, ten tokens, one neuron with counts 10, 4 and 2."""
    counts = np.array([10, 4, 2]).reshape(3, 1, 1)
    table = ActivationTable(("a", "b", "c"), counts, np.zeros((3, 1, 1)), np.array([10, 10, 10]))
    smooth = 10.5 / 11
    expected = (1.0 - 0.3) / np.sqrt(0.01 + smooth * (1 - smooth) / 10)
    assert distinctiveness(table)[0, 0, 0] == pytest.approx(expected)


def test_distinctiveness_does_not_fall_for_neurons_that_fire_once():
    """A neuron that fired once in one language must not beat one that separates it clearly."""
    counts = np.zeros((5, 1, 2), dtype=int)
    counts[0, 0] = [1, 900]
    counts[1:, 0, 1] = 200, 220, 180, 210
    table = ActivationTable(tuple("abcde"), counts, np.zeros((5, 1, 2)), np.full(5, 1000))
    z = distinctiveness(table)
    assert z[0, 0, 1] > 5 * z[0, 0, 0]


def test_distinctive_needs_three_languages():
    with pytest.raises(InputError, match="at least three"):
        top_neurons(random_table(0, languages=2), selection="distinctive", top_rate=0.1)


@given(st.integers(1, 100), st.floats(0, 0.99), st.floats(0.01, 1))
def test_layer_band_is_what_its_definition_says(layers, low, width):
    high = min(low + width, 1.0)
    expected = [layer for layer in range(layers) if low <= layer / layers < high]
    if low < high and expected:
        assert list(layer_band(layers, (low, high))) == expected
    else:
        with pytest.raises(InputError):
            layer_band(layers, (low, high))


def test_bands_that_meet_share_no_layer_and_miss_none():
    assert [*layer_band(18, (0, 0.5)), *layer_band(18, (0.5, 1))] == list(range(18))


@pytest.mark.parametrize("band", [(0.5, 0.5), (0.7, 0.3), (-0.1, 0.5), (0, 1.1), (0.01, 0.02)])
def test_a_band_without_layers_is_refused_in_one_sentence(band):
    with pytest.raises(InputError, match="layer band"):
        layer_band(18, band)


@pytest.mark.parametrize("rate", [0.0, -0.01, 2.0, float("nan"), 0.501])
def test_top_rates_out_of_range(rate):
    with pytest.raises(InputError, match="top rate"):
        set_size(36_864, rate)


def test_set_size_rounds():
    assert set_size(36_864, 0.01) == 369
    with pytest.raises(InputError, match="leaves no neuron"):
        set_size(100, 0.001)


def test_unknown_words_list_the_known_ones():
    with pytest.raises(InputError, match="active, distinctive"):
        top_neurons(random_table(0), selection="best")
    with pytest.raises(InputError, match="break, include"):
        top_neurons(random_table(0), ties="maybe")


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(2, 6))
def test_halves_add_up_to_the_whole(seed, blocks):
    rng = np.random.default_rng(seed)
    stats = {
        code: ActivationStats(
            rng.integers(0, 5, (blocks, 2, 3)),
            rng.normal(size=(blocks, 2, 3)),
            rng.integers(5, 9, blocks),
        )
        for code in ("a", "b")
    }
    whole, (even, odd) = ActivationTable.of(stats), ActivationTable.halves(stats)
    assert (even.counts + odd.counts == whole.counts).all()
    assert (even.tokens + odd.tokens == whole.tokens).all()
    summed = even.means * even.tokens[:, None, None] + odd.means * odd.tokens[:, None, None]
    np.testing.assert_allclose(summed, whole.means * whole.tokens[:, None, None])


def test_tables_refuse_statistics_without_tokens():
    empty = ActivationStats(np.zeros((1, 1, 1), int), np.zeros((1, 1, 1)), np.zeros(1, int))
    with pytest.raises(InputError, match="no token"):
        ActivationTable.of({"a": empty})
    with pytest.raises(InputError, match="one block"):
        ActivationTable.halves({"a": empty})
