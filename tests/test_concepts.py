"""HSIC similarity of languages against a naive one; concept activations recorded and stored."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgex_core.bli import SPLIT_SEED
from bridgex_core.concepts import (
    CONCEPTS,
    ConceptActivations,
    ConceptProbe,
    common_concepts,
    concept_similarity,
    keep_similarity,
    record_concepts,
    stored_concepts,
    stored_similarity,
)
from bridgex_core.errors import Cancelled, InputError
from bridgex_core.language_graph import language_graph, suggested_threshold
from bridgex_core.lexicons import concept_words, open_lexicon, split
from bridgex_core.model_sources import find_model
from bridgex_core.models import load
from bridgex_core.neurons import NeuronSets
from bridgex_core.probe import ProbeActivations, record
from bridgex_core.store import Store

CODES = ("eng_Latn", "swh_Latn", "vie_Latn")
WHOLE = (0.0, 1.0)


def random_language(rng, layers=3, width=8, concepts=30, rate=0.5, named=0.9):
    mask = rng.random((layers, width)) < rate
    names = tuple(f"c{c}" for c in range(concepts) if rng.random() < named)
    return ConceptActivations(names, mask, rng.normal(size=(mask.sum(), len(names))))


# ---- The naive similarity ----------------------------------------------------------------------


def naive_kernel(row):
    gaps = [abs(p - q) for p, q in itertools.combinations(row, 2)]
    sigma = np.median([gap for gap in gaps if gap > 0] if np.median(gaps) == 0 else gaps)
    centring = np.eye(len(row)) - 1 / len(row)
    kernel = np.exp(-(np.subtract.outer(row, row) ** 2) / (2 * sigma**2))
    return centring @ kernel @ centring


def naive_cka(x, y):
    k, l = naive_kernel(x), naive_kernel(y)  # noqa: E741
    return np.sum(k * l) / np.sqrt(np.sum(k * k) * np.sum(l * l))


def naive_of_sets(a, b, neurons, concepts):
    """The paper's similarity of two sets, from the values of single neurons."""

    def row(language, neuron):
        place = [tuple(n) for n in np.argwhere(language.mask)].index(neuron)
        return np.array([language.values[place, language.concepts.index(c)] for c in concepts])

    cka = np.array([[naive_cka(row(a, p), row(b, q)) for q in neurons] for p in neurons])
    return (cka.max(1).mean() + cka.max(0).mean()) / 2


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 10_000), st.sampled_from(["layers", "band"]))
def test_equals_the_naive_similarity(seed, pooling):
    rng = np.random.default_rng(seed)
    languages = {code: random_language(rng, concepts=26, named=0.95) for code in "abc"}
    found = concept_similarity(languages, (0.3, 1.0), pooling=pooling)
    assert found.layers == range(1, 3)
    for i, j in itertools.combinations(range(3), 2):
        a, b = languages["abc"[i]], languages["abc"[j]]
        concepts = [c for c in a.concepts if c in b.concepts]
        by_layer = [
            [(layer, int(n)) for n in np.flatnonzero(a.mask[layer] & b.mask[layer])]
            for layer in found.layers
        ]
        assert found.concepts[i, j] == len(concepts)
        assert found.neurons[i, j] == sum(map(len, by_layer))
        filled = [neurons for neurons in by_layer if neurons]
        if len(concepts) < 20 or not filled:
            assert np.isnan(found.values[i, j])
            continue
        groups = filled if pooling == "layers" else [list(itertools.chain(*filled))]
        expected = np.mean([naive_of_sets(a, b, neurons, concepts) for neurons in groups])
        assert found.values[i, j] == pytest.approx(expected, abs=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from(["layers", "band"]), st.floats(0.05, 0.9))
def test_symmetric_between_0_and_1_with_1_on_the_diagonal(seed, pooling, rate):
    rng = np.random.default_rng(seed)
    named = rng.choice([0.7, 0.95])
    languages = {code: random_language(rng, rate=rate, named=named) for code in "abcd"}
    found = concept_similarity(languages, WHOLE, pooling=pooling)
    np.testing.assert_array_equal(found.values, found.values.T)
    assert (np.diag(found.values) == 1).all()
    known = ~np.isnan(found.values)
    assert ((found.values[known] >= 0) & (found.values[known] <= 1)).all()
    unknown = (found.neurons == 0) | (found.concepts < 20)
    np.fill_diagonal(unknown, False)
    np.testing.assert_array_equal(~known, unknown)
    backwards = concept_similarity(dict(reversed(languages.items())), WHOLE, pooling=pooling)
    np.testing.assert_allclose(backwards.values[::-1, ::-1], found.values, atol=1e-5)


@pytest.mark.parametrize("pooling", ["layers", "band"])
def test_a_language_is_as_similar_to_its_double_as_to_itself(pooling):
    """So the 1 of the diagonal is what the formula gives, whatever shift and scale."""
    a = random_language(np.random.default_rng(0), concepts=150)
    double = replace(a, values=3 * a.values - 7)
    found = concept_similarity({"a": a, "b": double}, WHOLE, pooling=pooling)
    assert found.values[0, 1] == pytest.approx(1, abs=1e-6)


def test_planted_relatives_stand_closer():
    rng = np.random.default_rng(0)
    mask = np.ones((2, 6), bool)
    names = tuple(f"c{c}" for c in range(60))
    plan = rng.normal(size=(2, 12, 60))
    languages = {
        code: ConceptActivations(names, mask, plan[family] + 0.3 * rng.normal(size=(12, 60)))
        for code, family in zip("abcd", (0, 0, 1, 1), strict=True)
    }
    found = concept_similarity(languages, WHOLE)
    inside = [found.values[0, 1], found.values[2, 3]]
    across = [found.values[i, j] for i in (0, 1) for j in (2, 3)]
    assert min(inside) > 2 * max(across)
    threshold = suggested_threshold(found.values)
    graph = language_graph(found.values, found.languages, threshold=threshold)
    assert graph.nodes["a"]["community"] == graph.nodes["b"]["community"]
    assert graph.nodes["a"]["community"] != graph.nodes["c"]["community"]
    assert list(found.to_frame().columns) == list("abcd")


def test_unknown_pairs_have_no_edge():
    rng = np.random.default_rng(0)
    a, b = (random_language(rng, rate=1.0, named=1.0) for _ in range(2))
    alone = ConceptActivations(("other",), a.mask, np.zeros((a.mask.sum(), 1)))
    found = concept_similarity({"a": a, "b": b, "c": alone}, WHOLE)
    assert np.isnan(found.values[:2, 2]).all()
    assert found.concepts.tolist() == [[30, 30, 0], [30, 30, 0], [0, 0, 1]]
    assert set(language_graph(found.values, "abc", threshold=0).edges) == {("a", "b")}


def test_bad_input():
    rng = np.random.default_rng(0)
    a, b = random_language(rng), random_language(rng, layers=4)
    with pytest.raises(InputError, match="at least two"):
        concept_similarity({"a": a})
    with pytest.raises(InputError, match="different sizes"):
        concept_similarity({"a": a, "b": b})
    with pytest.raises(InputError, match="pooling 'mean' is unknown"):
        concept_similarity({"a": a, "b": a}, pooling="mean")


# ---- Concepts and recording --------------------------------------------------------------------


def test_the_list_holds_widely_named_concepts_and_none_kept_for_evaluation():
    chosen = common_concepts()
    assert len(set(chosen)) == len(chosen) == 200
    assert common_concepts(50) == chosen[:50]
    assert common_concepts(seed=1) != chosen
    lexicon = open_lexicon("cldr", "eng_Latn", "fra_Latn")
    _, aside = split(lexicon, held_out=10_000, seed=SPLIT_SEED)
    kept = {concept for pair in aside.pairs for concept in pair.concepts}
    assert len(kept) > 100
    assert not kept & set(chosen)


@pytest.fixture
def probe(tmp_path, tiny_model_folder):
    return ConceptProbe(find_model(str(tiny_model_folder), tmp_path), most=40)


def test_prompts_hold_words_of_the_language_alone(probe):
    prompts = probe.prompts("swh_Latn")
    table = concept_words(["swh_Latn"])
    words = dict(zip(table.concepts, table.words[0], strict=True))
    assert list(prompts) == [c for c in common_concepts(40) if c in prompts]
    assert all(prompts[c] == f'Kiswahili:"{words[c]}"' for c in prompts)
    assert len(prompts) > 30
    whole = ConceptProbe(probe.source)
    assert not any(" " in p.split('"')[1] for p in whole.prompts("swh_Latn").values())
    # Fewer than half of the Vietnamese names are single words.
    assert len(whole.prompts("vie_Latn")) > 150
    assert any(" " in p.split('"')[1] for p in whole.prompts("vie_Latn").values())


def test_no_word_of_a_prompt_names_a_concept_kept_aside(probe):
    for code in CODES:
        table = concept_words([code])
        names = {}
        for concept, word in zip(table.concepts, table.words[0], strict=True):
            names.setdefault(word, []).append(concept)
        same = open_lexicon("cldr", "eng_Latn", "fra_Latn")
        _, aside = split(same, held_out=10_000, seed=0)
        kept = {concept for pair in aside.pairs for concept in pair.concepts}
        for prompt in ConceptProbe(probe.source).prompts(code).values():
            assert not kept & set(names[prompt.split('"')[1]])


def test_everything_that_matters_is_in_the_key(probe):
    keys = {
        probe.key("eng_Latn"),
        probe.key("swh_Latn"),
        replace(probe, dtype="bfloat16").key("eng_Latn"),
        replace(probe, most=41).key("eng_Latn"),
        replace(probe, seed=1).key("eng_Latn"),
        replace(probe, source=replace(probe.source, fingerprint="x")).key("eng_Latn"),
    }
    assert len(keys) == 6


def test_recorded_stored_and_resumed(tmp_path, probe):
    store = Store(tmp_path / "store")
    model = load(probe.source)
    rng = np.random.default_rng(0)
    sets = NeuronSets((*CODES, "zzz_Latn"), rng.random((4, 2, 64)) < 0.4, np.zeros(4), np.zeros(4))
    assert stored_concepts(store, probe, sets) == {}
    with pytest.raises(Cancelled):
        record_concepts(
            store, model, probe, CODES, cancelled=lambda: store.has(CONCEPTS, probe.key(CODES[0]))
        )
    assert tuple(stored_concepts(store, probe, sets)) == CODES[:1]
    snapshots = []
    record_concepts(store, model, probe, CODES, report=snapshots.append)
    assert snapshots[-1].done == sum(len(probe.prompts(code)) for code in CODES[1:])

    found = stored_concepts(store, probe, sets)
    assert tuple(found) == CODES
    for (code, language), mask in zip(found.items(), sets.masks, strict=False):
        prompts = probe.prompts(code)
        direct = record(model, list(prompts.values()))
        assert language.concepts == tuple(prompts)
        expected = direct.values[mask]
        spread = expected.std(1, keepdims=True)
        assert (np.abs(language.values - expected) / spread).max() < 0.01
        assert store.manifest(CONCEPTS, probe.key(code))["concepts"] == list(prompts)
    similarity = concept_similarity(found, WHOLE)
    assert np.isfinite(similarity.values).all()
    assert similarity.neurons[0, 1] == (sets.masks[0] & sets.masks[1]).sum()


def test_rows_are_those_of_the_neurons_and_concepts_asked():
    values = np.arange(2 * 3 * 4.0, dtype=np.float32).reshape(2, 3, 4)
    mask = np.array([[1, 0, 1], [0, 1, 1]], bool)
    recorded = ProbeActivations(values, np.ones(4, int))
    some = ConceptActivations.of(["a", "b", "c", "d"], recorded, mask)
    wanted = np.array([[0, 0, 1], [0, 1, 0]], bool)
    assert some.rows(wanted, ["d", "a"]).tolist() == [[11, 8], [19, 16]]
    with pytest.raises(ValueError, match="do not fit together"):
        ConceptActivations.of(["a"], recorded, mask)


def test_a_kept_similarity_is_found_again_for_some_of_its_languages(tmp_path, probe):
    store = Store(tmp_path / "store")
    rng = np.random.default_rng(0)
    languages = {code: random_language(rng, layers=2, width=64) for code in CODES}
    whole = concept_similarity({**languages, "fin_Latn": languages["eng_Latn"]}, (0.5, 1.0))
    assert stored_similarity(store, probe, CODES, (0.5, 1.0)) is None
    keep_similarity(store, probe, whole)
    found = stored_similarity(store, probe, ("fin_Latn", "swh_Latn"), (0.4, 0.9))
    assert found.languages == ("fin_Latn", "swh_Latn")
    assert found.layers == range(1, 2)
    assert found.values[0, 1] == found.values[1, 0] == whole.values[3, 1]
    assert found.concepts[0, 1] == whole.concepts[3, 1]
    assert found.neurons[0, 0] == whole.neurons[3, 3]
    for other in (
        {"probe": replace(probe, dtype="bfloat16")},
        {"probe": replace(probe, source=replace(probe.source, fingerprint="x"))},
        {"codes": (*CODES, "deu_Latn")},
        {"band": WHOLE},
        {"pooling": "band"},
        {"corpus": "elsewhere"},
    ):
        asked = {"probe": probe, "codes": CODES, "band": (0.5, 1.0), **other}
        assert stored_similarity(store, **asked) is None, other
