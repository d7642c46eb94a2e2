"""Classes of neurons against naive loops, and the properties that the methods promise."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgex_core.activations import ActivationStats
from bridgex_core.errors import InputError
from bridgex_core.neuron_classes import (
    AGNOSTIC,
    CLASSES,
    INACTIVE,
    RELATED,
    SPECIFIC,
    agreement,
    classes_by_lape,
    classes_by_sets,
    classes_by_sharing,
    intersections,
    lape,
)
from bridgex_core.neurons import ActivationTable, NeuronSets, top_neurons

CODES = ("deu_Latn", "eng_Latn", "fra_Latn", "heb_Hebr", "swh_Latn")


def table_of(probability: np.ndarray, tokens: int = 1000) -> ActivationTable:
    counts = np.rint(probability * tokens).astype(np.int64)
    codes = tuple(f"l{k}" for k in range(len(counts)))
    return ActivationTable(codes, counts, counts * 0.1, np.full(len(counts), tokens))


def random_table(seed: int, languages: int = 5, layers: int = 3, width: int = 30):
    """Few tokens, so that counts tie; some neurons never fire."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(6, 40, languages)
    counts = rng.binomial(tokens[:, None, None], rng.beta(0.3, 1.5, (languages, layers, width)))
    counts[:, 0, :3] = 0
    codes = tuple(f"l{k}" for k in range(languages))
    return ActivationTable(codes, counts.astype(np.int64), counts * 0.1, tokens)


def naive_lape(table, top_share, filter_percentile, bar_percentile):
    """The paper's steps as loops over Python floats: {(layer, neuron): {languages}}."""
    counted = list(zip(table.counts, table.tokens, strict=True))
    p = {
        (layer, i): [int(c[layer, i]) / int(n) for c, n in counted]
        for layer, i in product(range(table.layers), range(table.width))
    }
    every = sorted(value for values in p.values() for value in values)
    threshold = every[round(filter_percentile * len(every)) - 1]
    bar = every[round(bar_percentile * len(every)) - 1]
    entropy = {}
    for neuron, values in p.items():
        if max(values) > threshold:
            shares = [value / sum(values) for value in values]
            entropy[neuron] = round(-sum(s * math.log(s) for s in shares if s > 0), 12)
    chosen = sorted(entropy, key=lambda neuron: (entropy[neuron], neuron))
    chosen = chosen[: round(top_share * len(p))]
    return {n: {k for k, value in enumerate(p[n]) if value > bar} for n in chosen}


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10_000),
    st.floats(0.02, 0.5),
    st.floats(0.3, 0.95),
    st.floats(0.3, 0.95),
)
def test_lape_equals_a_naive_version_neuron_for_neuron(seed, share, filtered, bar):
    table = random_table(seed)
    found = lape(table, top_share=share, filter_percentile=filtered, bar_percentile=bar)
    expected = naive_lape(table, share, filtered, bar)
    assert {tuple(n) for n in np.argwhere(found.selected)} == set(expected)
    for neuron, languages in expected.items():
        assert set(np.flatnonzero(found.masks[:, *neuron])) == languages
    assert not found.masks[:, ~found.selected].any()


def test_the_published_constants_are_the_defaults():
    table = random_table(3, languages=7, layers=4, width=100)
    found, expected = lape(table), naive_lape(table, 0.01, 0.95, 0.95)
    members = {
        tuple(n): set(np.flatnonzero(found.masks[:, *n])) for n in np.argwhere(found.selected)
    }
    assert members == expected
    assert len(members) == round(0.01 * 400)


@pytest.mark.parametrize("seed", range(5))
def test_lape_recovers_planted_language_neurons(seed):
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.05, 0.3, (6, 4, 250)) * rng.uniform(0.8, 1.2, (1, 4, 250))
    planted = rng.choice(1000, 10, replace=False)
    masks = np.zeros((6, 1000), dtype=bool)
    for number, neuron in enumerate(planted):
        owners = rng.choice(6, 1 if number < 7 else 2, replace=False)
        masks[owners, neuron] = True
        p.reshape(6, -1)[:, neuron] = np.where(masks[:, neuron], 0.9, 0.01)
    found = lape(table_of(p))
    assert (found.masks.reshape(6, -1) == masks).all()
    classes = classes_by_lape(found)
    assert (classes.labels == SPECIFIC).sum() == 7
    assert (classes.labels == RELATED).sum() == 3
    assert (found.sets.masks == found.masks).all()
    assert found.sets.languages == found.languages


def test_the_share_is_of_all_neurons_not_of_those_left():
    """Half of the neurons never pass the filter; 20 % are 20 of 100, not 10 of 50."""
    rng = np.random.default_rng(0)
    p = np.zeros((3, 1, 100))
    p[:, 0, :50] = rng.uniform(0.2, 1, (3, 50))
    found = lape(table_of(p), top_share=0.2, filter_percentile=0.5)
    assert found.selected.sum() == 20
    assert np.isinf(found.entropy[0, 50:]).all()


def test_lape_never_selects_what_the_filter_drops():
    p = np.full((3, 1, 100), 0.1)
    p[0, 0, 7] = 0.9
    assert np.argwhere(lape(table_of(p), top_share=0.5).selected).tolist() == [[0, 7]]


def test_equal_entropies_go_to_the_earlier_neurons():
    p = np.zeros((2, 2, 50))
    p[0, 1, 10:14] = 0.5, 0.9, 0.7, 0.6
    found = lape(table_of(p), top_share=0.02)
    assert np.argwhere(found.selected).tolist() == [[1, 10], [1, 11]]


def test_lape_refuses_what_it_cannot_do():
    with pytest.raises(InputError, match="at least two"):
        lape(table_of(np.ones((1, 1, 100))))
    with pytest.raises(InputError, match=r"percentile 95 .*0\.95"):
        lape(random_table(0), filter_percentile=95)
    with pytest.raises(InputError, match="top rate"):
        lape(random_table(0), top_share=0.9)
    with pytest.raises(InputError, match="lower filter percentile"):
        lape(table_of(np.ones((3, 2, 50))))


def test_lape_classes_by_hand():
    """Twenty neurons: one specific, one related, one in all languages, one active, the rest not."""
    p = np.full((3, 1, 20), 0.01)
    p[:, 0, 0] = 0.9, 0.0, 0.0
    p[:, 0, 1] = 0.9, 0.8, 0.0
    p[:, 0, 2] = 0.9, 0.5, 0.4
    p[:, 0, 3] = 0.5, 0.5, 0.5
    found = lape(table_of(p), top_share=0.15, filter_percentile=0.5, bar_percentile=0.5)
    classes = classes_by_lape(found)
    assert classes.labels[0, :5].tolist() == [SPECIFIC, RELATED, AGNOSTIC, AGNOSTIC, INACTIVE]
    assert classes.by_layer().to_numpy().tolist() == [[1, 1, 2, 16]]
    assert list(classes.by_layer().columns) == list(CLASSES)
    assert classes.labels.dtype == np.int8


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_membership_counts_the_sets_that_hold_a_neuron(seed, languages):
    sets = top_neurons(random_table(seed, languages=languages), top_rate=0.2)
    classes = classes_by_sets(sets)
    for layer, neuron in product(range(3), range(30)):
        count = int(sets.masks[:, layer, neuron].sum())
        expected = {0: INACTIVE, languages: AGNOSTIC, 1: SPECIFIC}.get(count, RELATED)
        assert classes.labels[layer, neuron] == expected
    assert (classes.by_layer().sum(axis=1) == 30).all()


def test_membership_needs_two_languages():
    with pytest.raises(InputError, match="at least two"):
        classes_by_sets(top_neurons(random_table(0, languages=1), top_rate=0.2))


def random_stats(seed: int, languages: int = 4, blocks: int = 5):
    rng = np.random.default_rng(seed)
    stats = {}
    for k in range(languages):
        tokens = rng.integers(1, 9, blocks)
        counts = rng.integers(0, 9, (blocks, 2, 8))
        counts = np.minimum(counts, tokens[:, None, None])
        stats[f"l{k}"] = ActivationStats(counts, counts * 0.2, tokens)
    return stats


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0, 0.9), st.integers(2, 4))
def test_sharing_equals_a_naive_version(seed, share, languages):
    stats = random_stats(seed, languages)
    next(iter(stats.values())).token_counts[2] = 0  # left out for all
    classes = classes_by_sharing(stats, active_share=share)
    for layer, neuron in product(range(2), range(8)):
        tally, often = [0, 0, 0, 0], [0] * languages
        for block in (0, 1, 3, 4):
            active = [
                s.positive_counts[block, layer, neuron] > share * s.token_counts[block]
                for s in stats.values()
            ]
            kind = {0: 3, languages: 2, 1: 0}.get(sum(active), 1)
            tally[kind] += 1
            often = [a + b for a, b in zip(often, active, strict=True)]
        assert classes.tally[:, layer, neuron].tolist() == tally
        assert classes.labels[layer, neuron] == tally.index(max(tally))
        assert classes.masks[:, layer, neuron].tolist() == [count > 2 for count in often]
    assert classes.names == ("specific", "partial-shared", "all-shared", "non-activated")


def test_sharing_needs_the_same_inputs():
    stats = random_stats(0)
    with pytest.raises(InputError, match="parallel corpus"):
        classes_by_sharing(stats | {"l1": stats["l1"].fold(3)})
    with pytest.raises(InputError, match="at least two"):
        classes_by_sharing({"l0": stats["l0"]})
    with pytest.raises(InputError, match="active share"):
        classes_by_sharing(stats, active_share=1.0)
    stats["l0"].token_counts[:] = 0
    with pytest.raises(InputError, match="no block"):
        classes_by_sharing(stats)


def test_a_frame_names_every_neuron_with_its_languages():
    masks = np.zeros((5, 2, 3), dtype=bool)
    masks[[0, 3], 1, 2] = True
    masks[4, 0, 1] = True
    masks[:, 1, 0] = True
    zeros = np.zeros(5, dtype=int)
    frame = classes_by_sets(NeuronSets(CODES, masks, zeros, zeros)).to_frame()
    assert list(frame.columns) == ["layer", "neuron", "class", "languages"]
    assert frame.values.tolist() == [
        [0, 0, "inactive", ""],
        [0, 1, "specific", "swh_Latn"],
        [0, 2, "inactive", ""],
        [1, 0, "agnostic", " ".join(CODES)],
        [1, 1, "inactive", ""],
        [1, 2, "related", "deu_Latn heb_Hebr"],
    ]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from([1, 3, 8, 63, 64, 65, 130]), st.integers(0, 40))
def test_intersections_equal_counted_tuples(seed, languages, neurons):
    rng = np.random.default_rng(seed)
    base = rng.random((languages, 4)) < 0.3
    masks = base[:, rng.integers(0, 4, neurons)]  # few patterns, so that they repeat
    codes = [f"l{k:03}" for k in range(languages)]
    counted = {}
    for column in masks.T:
        key = tuple(c for c, inside in zip(codes, column, strict=True) if inside)
        if key:
            counted[key] = counted.get(key, 0) + 1
    frame = intersections(masks, codes)
    assert dict(zip(frame["languages"], frame["neurons"], strict=True)) == counted
    assert frame["neurons"].is_monotonic_decreasing
    assert len(intersections(masks, codes, at_most=2)) == min(2, len(counted))


def test_equal_intersections_begin_with_the_earlier_languages():
    masks = np.eye(70, dtype=bool)[:, ::-1]
    codes = [f"l{k}" for k in range(70)]
    assert [key[0] for key in intersections(masks, codes)["languages"]] == codes


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_agreement_is_the_jaccard_of_each_class(seed):
    table = random_table(seed)
    a = classes_by_lape(lape(table, top_share=0.3, filter_percentile=0.6, bar_percentile=0.6))
    b = classes_by_sets(top_neurons(table, top_rate=0.2))
    frame = agreement(a, b)
    for label, name in enumerate(CLASSES):
        of_a, of_b = ({tuple(n) for n in np.argwhere(c.labels == label)} for c in (a, b))
        row = frame.loc[name]
        assert (row["a"], row["b"], row["both"]) == (len(of_a), len(of_b), len(of_a & of_b))
        expected = len(of_a & of_b) / len(of_a | of_b) if of_a | of_b else math.nan
        assert row["jaccard"] == pytest.approx(expected, nan_ok=True)
    same = agreement(a, a)["jaccard"].dropna()
    assert (same == 1).all()


def test_agreement_needs_the_same_neurons():
    a, b = (
        classes_by_sets(top_neurons(random_table(0, width=width), top_rate=0.2))
        for width in (20, 30)
    )
    with pytest.raises(InputError, match="3 x 20 neurons and the other 3 x 30"):
        agreement(a, b)
