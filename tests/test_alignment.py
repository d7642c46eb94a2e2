"""Alignment against hand-made states, loops in Python, and one block at a time."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgex_core.activations import ActivationStats, collect
from bridgex_core.alignment import (
    STATES,
    SentenceStates,
    alignment_matrix,
    collect_states,
    hidden_alignment,
    neuron_states,
    record_states,
    state_alignment,
    stored_states,
)
from bridgex_core.collection import Collection, collect_languages
from bridgex_core.corpora import open_corpus
from bridgex_core.errors import Cancelled, InputError
from bridgex_core.language_graph import language_graph, suggested_threshold
from bridgex_core.model_sources import find_model
from bridgex_core.models import load
from bridgex_core.store import Store
from tests.test_activations import LAYERS, TEXTS, WIDTH, build

CODES = ("deu_Latn", "eng_Latn", "swh_Latn")


def made(active, hidden=None, tokens=None) -> SentenceStates:
    """States from 0 and 1 (B, L, I)."""
    active = np.asarray(active)
    tokens = np.ones(len(active), int) if tokens is None else np.asarray(tokens)
    return SentenceStates(np.packbits(active.astype(bool), axis=2), hidden, tokens)


def random_states(rng, languages=3, blocks=6, layers=2, neurons=11, width=5, missing=0.0):
    return {
        f"l{k}": made(
            rng.random((blocks, layers, neurons)) < 0.4,
            rng.normal(size=(blocks, layers, width)).astype(np.float32),
            rng.random(blocks) >= missing,
        )
        for k in range(languages)
    }


def naive_share(similarity, present) -> float:
    """The rule, block by block, as MEXA words it."""
    blocks = np.flatnonzero(present)
    if len(blocks) < 2:
        return np.nan
    hits = 0
    for b in blocks:
        rivals = [similarity[b, c] for c in blocks if c != b]
        rivals += [similarity[c, b] for c in blocks if c != b]
        hits += similarity[b, b] > max(rivals)
    return hits / len(blocks)


def naive_jaccard(x, y) -> float:
    either = sum(1 for p, q in zip(x, y, strict=True) if p or q)
    return sum(1 for p, q in zip(x, y, strict=True) if p and q) / either if either else 0.0


def bits(states: SentenceStates, layers) -> np.ndarray:
    """(B, neurons of these layers)."""
    return np.unpackbits(states.active[:, list(layers)], axis=2).reshape(len(states.active), -1)


def naive_states(a, b, layers) -> float:
    x, y = bits(a, layers), bits(b, layers)
    similarity = np.array([[naive_jaccard(p, q) for q in y] for p in x])
    return naive_share(similarity, (a.token_counts > 0) & (b.token_counts > 0))


def naive_hidden(a, b, layer) -> float:
    x, y = (s.hidden[:, layer].astype(np.float64) for s in (a, b))
    similarity = np.array(
        [[p @ q / np.sqrt((p @ p) * (q @ q)) for q in y] for p in x],
    )
    return naive_share(similarity, (a.token_counts > 0) & (b.token_counts > 0))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3, 0.8]), st.integers(2, 4))
def test_equals_the_loop_and_is_symmetric(seed, missing, languages):
    states = random_states(np.random.default_rng(seed), languages, missing=missing)
    for measure in ("states", "hidden"):
        found = alignment_matrix(states, measure)
        for values in (*found.values, found.pooled):
            np.testing.assert_array_equal(values, values.T)
            assert (np.diag(values) == 1).all()
        for i, a in enumerate(states.values()):
            for j, b in enumerate(states.values()):
                assert found.blocks[i, j] == ((a.token_counts > 0) & (b.token_counts > 0)).sum()
                if i == j:
                    continue
                if measure == "states":
                    expected = [naive_states(a, b, [layer]) for layer in range(2)]
                    pooled = naive_states(a, b, range(2))
                else:
                    expected = [naive_hidden(a, b, layer) for layer in range(2)]
                    pooled = np.mean(expected)
                np.testing.assert_allclose(found.values[:, i, j], expected)
                np.testing.assert_allclose(found.pooled[i, j], pooled)
                one = state_alignment if measure == "states" else hidden_alignment
                np.testing.assert_allclose(one(a, b), expected)
                np.testing.assert_allclose(one(a, b, [1]), expected[1:])


def test_by_hand():
    """Blocks 0 and 1 are mutual nearest neighbours; the tie of the others is no alignment."""
    a = made([[[1, 1, 0, 0]], [[0, 0, 1, 1]], [[1, 0, 1, 0]], [[1, 0, 1, 0]]])
    assert state_alignment(a, a).tolist() == [0.5]
    assert alignment_matrix({"x": a, "y": a}).values.tolist() == [[[1, 0.5], [0.5, 1]]]
    # Block 1 of b is nearer to block 0 of a than its own is: nothing is aligned.
    b = made([[[0, 1, 0, 1]], [[1, 1, 0, 0]]])
    assert state_alignment(made([[[1, 1, 0, 0]], [[1, 0, 0, 0]]]), b).tolist() == [0.0]


def test_a_planted_alignment_is_found_in_its_layer_and_chance_elsewhere():
    rng = np.random.default_rng(0)
    blocks, neurons = 31, 400
    plan = rng.random((blocks, neurons)) < 0.3

    def language():
        planted = plan ^ (rng.random(plan.shape) < 0.1)
        return made(np.stack([rng.random(plan.shape) < 0.3, planted], axis=1))

    found = alignment_matrix({code: language() for code in "abcdef"})
    pairs = np.triu_indices(6, 1)
    assert found.values[1][pairs].min() == 1
    # Without any relation it is 1/(2B - 1) on average, below the 1/B that is called chance.
    assert found.values[0][pairs].mean() < 2 * found.chance[pairs].mean()
    assert found.chance[0, 1] == pytest.approx(1 / 31)
    assert found.pooled[pairs].min() == 1


def test_a_shuffled_translation_is_aligned_no_better_than_chance():
    rng = np.random.default_rng(1)
    a = made(rng.random((20, 1, 200)) < 0.4)
    shuffled = (
        SentenceStates(a.active[rng.permutation(20)], None, a.token_counts) for _ in range(400)
    )
    shares = [state_alignment(a, b)[0] for b in shuffled]
    assert np.mean(shares) == pytest.approx(1 / 20, abs=0.01)


# ---- Recording ---------------------------------------------------------------------------------


def one_at_a_time(model, texts, room):
    """Mean activation and hidden states (B, L, ·), each piece of each block alone, in float64."""
    activations = np.zeros((len(texts), LAYERS, WIDTH))
    hidden = np.zeros((len(texts), LAYERS, 16))
    for block, text in enumerate(texts):
        ids = model.encode(text)
        pieces = np.array_split(ids, max(1, -(-len(ids) // room)))
        for piece in pieces if ids else []:
            caught = []
            handles = [
                module.register_forward_hook(lambda _m, _i, out, caught=caught: caught.append(out))
                for module in model.activations
            ]
            with torch.no_grad():
                out = model.network(
                    input_ids=torch.tensor([[*model.bos, *piece.tolist()]]),
                    output_hidden_states=True,
                )
            for handle in handles:
                handle.remove()
            for layer in range(LAYERS):
                rows = caught[layer].reshape(-1, WIDTH)[len(model.bos) :]
                activations[block, layer] += rows.sum(0).numpy() / len(ids)
                states = out.hidden_states[layer + 1][0, len(model.bos) :]
                hidden[block, layer] += states.sum(0).numpy() / len(ids)
    return activations, hidden


@pytest.mark.parametrize("bos", [1, None])
@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3_text", "opt", "gpt_neox", "phi3"])
def test_equals_one_block_at_a_time(name, bos):
    model = build(name, bos)
    activations, hidden = one_at_a_time(model, TEXTS, 20 - len(model.bos))
    for batch_tokens in (1, 40, 10_000):
        found = record_states(model, TEXTS, block_tokens=20, batch_tokens=batch_tokens)
        np.testing.assert_allclose(found.hidden, hidden, rtol=1e-4, atol=1e-5)
        active = np.unpackbits(found.active, axis=2)[:, :, :WIDTH]
        clear = np.abs(activations) > 1e-6
        assert (active == (activations > 0))[clear].all()
        assert found.token_counts.tolist() == [len(model.encode(text)) for text in TEXTS]
    assert not any(module._forward_hooks for module in model.activations)


def test_statistics_hold_the_same_neuron_states():
    model = build("llama")
    recorded = record_states(model, TEXTS, block_tokens=20)
    of_statistics = SentenceStates.of(collect(model, TEXTS, block_tokens=20))
    np.testing.assert_array_equal(recorded.active, of_statistics.active)
    np.testing.assert_array_equal(recorded.token_counts, of_statistics.token_counts)


def test_tensors_round_trip():
    for states in random_states(np.random.default_rng(0), 1).values():
        again = SentenceStates.from_tensors(states.tensors())
        np.testing.assert_array_equal(again.active, states.active)
        np.testing.assert_array_equal(again.hidden, states.hidden)
        assert SentenceStates.from_tensors(made(np.ones((2, 1, 3))).tensors()).hidden is None


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def collection(store, tiny_model_folder, folder_corpus):
    return Collection(
        find_model(str(tiny_model_folder), store.root), open_corpus(str(folder_corpus))
    )


def test_stored_resumed_and_the_same_as_from_statistics(store, collection):
    model = load(collection.source)
    with pytest.raises(Cancelled):
        collect_states(
            store,
            model,
            collection,
            CODES,
            cancelled=lambda: bool(stored_states(store, collection, CODES)),
        )
    before = stored_states(store, collection, CODES)
    assert tuple(before) == CODES[:1]
    snapshots = []
    collect_states(store, model, collection, CODES, report=snapshots.append)
    assert snapshots[-1].fraction == pytest.approx(1)
    states = stored_states(store, collection, CODES)
    assert snapshots[-1].total == sum(states[code].token_counts.sum() for code in CODES[1:])
    assert tuple(states) == CODES
    text = collection.corpus.text("swh_Latn")
    direct = record_states(model, text.blocks)
    np.testing.assert_array_equal(states["swh_Latn"].active, direct.active)
    np.testing.assert_array_equal(states["swh_Latn"].hidden, direct.hidden)
    manifest = store.manifest(STATES, collection.key(STATES, text))
    assert manifest["language"] == "swh_Latn"
    assert manifest["blocks"] == len(text.blocks)

    assert neuron_states(store, collection, CODES) == {}
    collect_languages(store, model, collection, CODES[:2])
    of_statistics = neuron_states(store, collection, CODES)
    assert tuple(of_statistics) == CODES[:2]
    for code, each in of_statistics.items():
        np.testing.assert_array_equal(each.active, states[code].active)


def test_a_graph_can_be_drawn_from_it():
    found = alignment_matrix(random_states(np.random.default_rng(3), 5, missing=0.5))
    graph = language_graph(
        found.pooled, found.languages, threshold=suggested_threshold(found.pooled)
    )
    assert set(graph) == set(found.languages)
    frame = found.to_frame(1)
    assert list(frame.index) == list(frame.columns) == list(found.languages)
    np.testing.assert_array_equal(frame, found.values[1])
    np.testing.assert_array_equal(found.to_frame(), found.pooled)


def test_bad_input():
    states = random_states(np.random.default_rng(0))
    a, b, _ = states.values()
    with pytest.raises(InputError, match="at least two"):
        alignment_matrix({"a": a})
    with pytest.raises(InputError, match="measure 'cosine' is unknown"):
        alignment_matrix(states, "cosine")
    with pytest.raises(InputError, match="parallel block by block"):
        state_alignment(a, made(np.ones((4, 2, 11))))
    with pytest.raises(InputError, match="No hidden states are recorded for b"):
        hidden_alignment(a, SentenceStates(b.active, None, b.token_counts))
    with pytest.raises(InputError, match="Layer 0 is not among the layers 1 to 1"):
        alignment_matrix(states, band=(0.5, 1)).to_frame(0)
    with pytest.raises(InputError, match="no token"):
        record_states(build("llama"), ["", ""])
    single = [SentenceStates(s.active, s.hidden, np.eye(6, dtype=int)[0]) for s in (a, b)]
    assert np.isnan(state_alignment(*single)).all()


def test_a_corpus_that_is_not_parallel_is_refused(store, tiny_model_folder, tmp_path):
    line = "Every one of these lines is long enough to fill a small text. " * 3
    for code, lines in (("eng_Latn", 3), ("swh_Latn", 5)):
        (tmp_path / f"{code}.txt").write_text(f"{line}\n" * lines, encoding="utf-8")
    corpus = open_corpus(str(tmp_path))
    collection = Collection(find_model(str(tiny_model_folder), store.root), corpus)
    with pytest.raises(InputError, match="is not parallel"):
        collect_states(store, load(collection.source), collection, ["eng_Latn", "swh_Latn"])
    with pytest.raises(InputError, match="is not parallel"):
        neuron_states(store, collection, ["eng_Latn", "swh_Latn"])


def test_a_neuron_is_active_where_its_mean_is_above_zero():
    sums = np.zeros((2, 1, 3))
    sums[0, 0] = [0.1, 0.0, -3.0]
    stats = ActivationStats(np.ones((2, 1, 3), int), sums, np.array([4, 4]))
    assert np.unpackbits(SentenceStates.of(stats).active, axis=2)[0, 0, :3].tolist() == [1, 0, 0]
