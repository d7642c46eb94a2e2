"""Impacts of all neurons at once against zeroing them one by one; stored; sets and agreement."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from bridgex_core.activations import collect
from bridgex_core.collection import Collection, stored_table
from bridgex_core.corpora import open_corpus, udhr
from bridgex_core.detection import (
    IMPACTS,
    Impacts,
    collect_impacts,
    detect,
    impact_agreement,
    impact_sets,
    impacts,
    language_specific,
    rank_counts,
    stored_impacts,
    without_impacts,
)
from bridgex_core.errors import Cancelled, InputError
from bridgex_core.interventions import Intervention, intervene, mask_of
from bridgex_core.languages import STUDY_LANGUAGES
from bridgex_core.model_sources import find_model
from bridgex_core.models import load
from bridgex_core.neurons import ActivationTable, NeuronSets, top_neurons
from bridgex_core.store import Store, default_store
from tests.test_activations import LAYERS, WIDTH, build

TEXTS = ["are born", "", "free"]
CODES = ("deu_Latn", "eng_Latn", "swh_Latn")


def made(values) -> Impacts:
    values = np.asarray(values, dtype=np.float32)
    return Impacts(CODES[: len(values)], values, np.full(len(values), 10))


def random_pair(rng, languages=3, layers=4, width=30, levels=50) -> tuple[Impacts, ActivationTable]:
    """Impacts and counts with ties."""
    shape = (languages, layers, width)
    counts = rng.integers(0, levels, shape)
    table = ActivationTable(CODES, counts, rng.random(shape), np.full(languages, levels))
    return made(rng.integers(0, levels, shape) / 7), table


def block_outputs(model, text: str) -> list[torch.Tensor]:
    """What each layer's down projection gives, (tokens, hidden), the first token left out."""
    found = []
    handles = [
        down.register_forward_hook(
            lambda _m, _i, out: found.append(out.reshape(-1, out.shape[-1])[len(model.bos) :])
        )
        for down in model.downs
    ]
    with torch.no_grad():
        model.network(input_ids=torch.tensor([[*model.bos, *model.encode(text)]]))
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3_text", "opt", "bloom"])
def test_equals_zeroing_one_neuron_at_a_time(name):
    model = build(name)
    found = impacts(model, TEXTS)
    assert found.shape == (LAYERS, WIDTH)
    texts = [text for text in TEXTS if text]
    plain = [block_outputs(model, text) for text in texts]
    tokens = sum(map(len, texts))
    for layer, neuron in [(0, 0), (0, 23), (1, 7), (2, 11)]:
        moved = 0.0
        for text, outputs in zip(texts, plain, strict=True):
            with intervene(model, Intervention(mask_of([layer], [neuron], (LAYERS, WIDTH)))):
                without = block_outputs(model, text)
            moved += float((outputs[layer] - without[layer]).norm(dim=1).sum())
        assert found[layer, neuron] == pytest.approx(moved / tokens, rel=1e-5)


def test_hooks_are_gone_and_progress_counts_tokens():
    class Counter:
        total = 0.0

        def advance(self, amount, message=""):
            self.total += amount

    model, counter = build("llama"), Counter()
    impacts(model, TEXTS, progress=counter)
    assert counter.total == sum(map(len, TEXTS))
    assert not any(down._forward_pre_hooks for down in model.downs)
    with pytest.raises(InputError, match="empty"):
        impacts(model, ["", ""])


def test_agreement_is_spearmans_by_layer():
    model = build("qwen2")
    impact, probability = impacts(model, TEXTS), collect(model, TEXTS).activation_probability
    frame = impact_agreement(impact, probability)
    for layer in range(LAYERS):
        expected = spearmanr(impact[layer], probability[layer]).statistic
        assert frame.spearman[layer] == pytest.approx(expected)
    assert np.isnan(impact_agreement(impact, np.ones_like(impact)).spearman).all()
    with pytest.raises(InputError, match="not of the same model"):
        impact_agreement(impact, probability[:2])


def test_long_texts_are_cut_into_pieces():
    model = build("llama")
    whole, pieces = (impacts(model, TEXTS, block_tokens=size) for size in (256, 4))
    assert not np.allclose(whole, pieces)
    assert len(model.bos) == 1
    three = ["are", " bo", "rn", "fr", "ee"]  # at most, and of even length
    np.testing.assert_allclose(pieces, impacts(model, three), rtol=1e-5)


# ---- Stored ------------------------------------------------------------------------------------


def test_stored_resumed_and_the_same(tmp_path, tiny_model_folder, folder_corpus):
    store = Store(tmp_path)
    source = find_model(str(tiny_model_folder), store.root)
    collection = Collection(source, open_corpus(str(folder_corpus)))
    model = load(source)
    with pytest.raises(InputError, match="record them first"):
        stored_impacts(store, collection, CODES)
    with pytest.raises(Cancelled):
        collect_impacts(
            store,
            model,
            collection,
            CODES,
            cancelled=lambda: without_impacts(store, collection, CODES) != CODES,
        )
    assert without_impacts(store, collection, CODES) == CODES[1:]
    snapshots = []
    collect_impacts(store, model, collection, CODES, report=snapshots.append)
    found = stored_impacts(store, collection, CODES)
    assert snapshots[-1].total == found.tokens[1:].sum()
    assert snapshots[-1].fraction == pytest.approx(1)
    assert (found.languages, found.values.dtype) == (CODES, np.float32)
    text = collection.corpus.text("swh_Latn")
    direct = impacts(model, text.blocks).astype(np.float32)
    np.testing.assert_array_equal(found.values[2], direct)
    assert found.tokens[2] == sum(len(model.encode(block)) for block in text.blocks)
    manifest = store.manifest(IMPACTS, collection.key(IMPACTS, text))
    assert (manifest["language"], manifest["device"]) == ("swh_Latn", "cpu")
    other = Collection(source, collection.corpus, "bfloat16")
    assert without_impacts(store, other, CODES) == CODES


def test_those_of_the_study_languages_ship(tmp_path):
    store = Store(tmp_path, bundled=default_store().bundled)
    collection = Collection(find_model(None, store.root), udhr())
    assert not collection.source.installed
    found = stored_impacts(store, collection, STUDY_LANGUAGES)
    table = stored_table(store, collection, STUDY_LANGUAGES)
    assert found.languages == STUDY_LANGUAGES
    assert (found.tokens == table.tokens).all()
    assert (found.values > 0).all()
    frame = detect(found, table).to_frame()
    assert (frame["neurons"] == 369).all()
    assert (frame["jaccard"] > 5 * frame["chance"]).all()
    assert (frame["jaccard"] < 0.2).all()
    assert frame["spearman"].between(0.2, 0.33).all()


# ---- Sets --------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 60), st.sampled_from([0.01, 0.1, 0.37]))
def test_sets_are_the_highest_the_earlier_first_where_they_tie(seed, levels, rate):
    found, _ = random_pair(np.random.default_rng(seed), levels=levels)
    sets = impact_sets(found, rate)
    size = round(rate * 120)
    assert (sets.sizes == size).all()
    for k, values in enumerate(found.values.reshape(3, -1)):
        order = sorted(range(120), key=lambda place, values=values: (-values[place], place))
        assert set(np.flatnonzero(sets.masks[k])) == set(order[:size])
        lowest = values[order[size - 1]]
        assert sets.tied[k] == (values == lowest).sum()
        assert sets.tied_in[k] == (values[order[:size]] == lowest).sum()


def test_specific_and_shared_by_hand():
    masks = np.array(
        [[[1, 1, 0, 0], [0, 0, 0, 1]], [[1, 0, 1, 0], [0, 0, 0, 1]], [[1, 1, 0, 0], [1, 0, 0, 0]]],
        dtype=bool,
    )
    none = np.zeros(3, int)
    frame = language_specific(NeuronSets(CODES, masks, none, none))
    rows = [
        ("deu_Latn", 0, 2, 0, 1), ("deu_Latn", 1, 1, 0, 0), ("eng_Latn", 0, 2, 1, 1),
        ("eng_Latn", 1, 1, 0, 0), ("swh_Latn", 0, 2, 0, 1), ("swh_Latn", 1, 1, 1, 0),
    ]  # fmt: skip
    assert [tuple(row) for row in frame.itertuples(index=False)] == rows
    with pytest.raises(InputError, match="at least two"):
        language_specific(NeuronSets(CODES[:1], masks[:1], none, none))


# ---- Against activation probability ------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_the_table_against_counting_neuron_by_neuron(seed):
    found, table = random_pair(np.random.default_rng(seed))
    result = detect(found, table, 0.1)
    active = [set(np.flatnonzero(mask)) for mask in top_neurons(table, top_rate=0.1).masks]
    impact = [set(np.flatnonzero(mask)) for mask in impact_sets(found, 0.1).masks]
    for k, row in enumerate(result.to_frame().to_dict("records")):
        others = [each for j, each in enumerate(impact) if j != k]
        assert row["language"] == CODES[k]
        assert (row["neurons"], row["active"]) == (12, 12)
        assert row["specific"] == len(impact[k] - set.union(*others))
        assert row["shared"] == len(set.intersection(*impact))
        both = len(impact[k] & active[k])
        assert row["both"] == both
        assert row["jaccard"] == pytest.approx(both / (24 - both))
        assert row["chance"] == pytest.approx(1.2 / 22.8)  # 12 · 12 / 120 expected in both
        each = [
            spearmanr(found.values[k, layer], table.counts[k, layer]).statistic
            for layer in range(4)
        ]
        np.testing.assert_allclose(result.spearman[k], each)
        assert row["spearman"] == pytest.approx(np.mean(each))
    by_layer = result.by_layer()
    assert len(by_layer) == 12
    totals = by_layer.groupby("language", sort=False)[["neurons", "specific", "both"]].sum()
    pd.testing.assert_frame_equal(
        totals.reset_index(), result.to_frame()[["language", "neurons", "specific", "both"]]
    )
    layer, share = result.fullest_layer
    in_layer = [sum(place // 30 == one for each in impact for place in each) for one in range(4)]
    assert (layer, share) == (int(np.argmax(in_layer)), max(in_layer) / 36)


def test_equal_orders_agree_in_full_and_the_curve_tells_the_range():
    rng = np.random.default_rng(1)
    found, table = random_pair(rng)
    same = made(table.counts + 1)  # the same order, ties and all, for two of three
    values = same.values.copy()
    values[2] = -values[2]
    curve = detect(made(values), table).curve("swh_Latn")
    np.testing.assert_allclose(curve["highest"], 1)
    np.testing.assert_allclose(curve["lowest"], -1)
    np.testing.assert_allclose(curve["language"], -1)
    np.testing.assert_allclose(curve["mean"], 1 / 3)
    whole = detect(same, ActivationTable(CODES, table.counts, table.means * 0, table.tokens))
    np.testing.assert_allclose(whole.to_frame()["jaccard"], 1)  # ties by position in both
    with pytest.raises(InputError, match="same languages"):
        detect(made(found.values[:2]), table)
    with pytest.raises(InputError, match="top rate"):
        detect(found, table, 0.0)


def test_a_layer_without_any_spread_is_left_out_of_the_mean():
    found, table = random_pair(np.random.default_rng(2))
    values = found.values.copy()
    values[:, 1] = 0
    result = detect(made(values), table)
    assert np.isnan(result.spearman[:, 1]).all()
    assert np.isnan(result.curve("deu_Latn")["mean"][1])
    kept = np.delete(result.spearman, 1, axis=1).mean(1)
    np.testing.assert_allclose(result.to_frame()["spearman"], kept)


def test_ranks_fall_into_equal_bins():
    rng = np.random.default_rng(3)
    impact, probability = rng.permutation(400).reshape(4, 100), rng.random((4, 100))
    counts = rank_counts(impact, probability, 10)
    assert (counts.sum(0) == 40).all()
    assert (counts.sum(1) == 40).all()
    order = probability.ravel().argsort().argsort()
    for row in range(10):
        for column in range(10):
            inside = (impact.ravel() // 40 == row) & (order // 40 == column)
            assert counts[row, column] == inside.sum()
    assert (rank_counts(impact, impact, 10) == 40 * np.eye(10)).all()
    assert rank_counts(np.zeros((2, 5)), np.zeros((2, 5)), 5)[2, 2] == 10  # ties, mean rank
    with pytest.raises(InputError, match="not of the same model"):
        rank_counts(impact, probability[:2])
