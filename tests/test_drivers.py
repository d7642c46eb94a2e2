"""Drivers of a neuron against its recorded activations; nearest neurons against numpy."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgex_core.activations import batches as in_batches
from bridgex_core.activations import recording, run_body
from bridgex_core.drivers import DrivingSentence, _sentences, drivers, nearest_neurons
from bridgex_core.errors import InputError
from bridgex_core.model_sources import find_model
from bridgex_core.models import Model, load
from bridgex_core.neurons import ActivationTable

TEXTS = ["Haki za binadamu. Watu wote wamezaliwa huru.", "", "自由 と 平等。すべての人間"]
LAYER, NEURON = 1, 17


@pytest.fixture(scope="module")
def model(tiny_model_folder, tmp_path_factory) -> Model:
    return load(find_model(str(tiny_model_folder), tmp_path_factory.mktemp("store")))


def whole(model: Model, text: str) -> np.ndarray:
    """The neuron's activation on each byte of a text, from a run through all layers."""
    found = {}
    with recording(model, lambda layer, values: found.__setitem__(layer, values.numpy().copy())):
        for batch in in_batches([model.encode(text)], bos=model.bos):
            run_body(model, batch)
    return found[LAYER][1:, NEURON]


def test_activations_stand_at_their_letters(model):
    """The tokenizer makes each byte a token; a letter of several bytes has their highest value."""
    found = drivers(model, TEXTS, LAYER, NEURON, top=50)
    expected: dict[str, list[float]] = {}
    positive = 0
    for text in TEXTS:
        if not text:
            continue
        values = whole(model, text)
        positive += int((values > 0).sum())
        place = 0
        for letter in text:
            size = len(letter.encode())
            expected.setdefault(letter, []).append(float(values[place : place + size].max()))
            place += size
    del expected[" "]
    assert {token.text for token in found.tokens} == set(expected)
    for token in found.tokens:
        assert token.highest == pytest.approx(max(expected[token.text]), abs=1e-6)
        assert token.mean == pytest.approx(np.mean(expected[token.text]), abs=1e-6)
        assert token.count == len(expected[token.text])
    highest = [token.highest for token in found.tokens]
    assert highest == sorted(highest, reverse=True)
    assert found.positive_share == pytest.approx(positive / sum(len(t.encode()) for t in TEXTS))


def test_sentences_are_whole_and_ranked(model):
    found = drivers(model, TEXTS, LAYER, NEURON)
    texts = {sentence.text for sentence in found.sentences}
    assert texts == {
        "Haki za binadamu. ", "Watu wote wamezaliwa huru.", "自由 と 平等。", "すべての人間",
    }  # fmt: skip
    assert {sentence.block for sentence in found.sentences} == {0, 2}
    ranks = [sentence.highest for sentence in found.sentences]
    assert ranks == sorted(ranks, reverse=True)
    best = drivers(model, TEXTS, LAYER, NEURON, top=1)
    assert best.sentences == found.sentences[:1]
    assert best.tokens == found.tokens[:1]
    assert found.highest == found.tokens[0].highest == ranks[0]
    values = whole(model, TEXTS[0])
    second = next(s for s in found.sentences if s.text.startswith("Watu"))
    np.testing.assert_allclose(second.activations, values[-len(second.text) :], atol=1e-6)


def test_spaces_rank_no_sentence():
    sentence = DrivingSentence(0, ("a", " b", "\n"), (0.5, 1.0, 9.0))
    assert (sentence.text, sentence.highest) == ("a b\n", 1.0)
    assert DrivingSentence(0, ("\n",), (2.0,)).highest == -np.inf


def test_a_long_block_is_cut_and_the_hook_goes(model):
    found = drivers(model, ["Watu wote. " * 60], 0, 3, top=2)  # 660 tokens of 255 at most
    assert sum(len(s.text) for s in found.sentences) == 22
    assert not any(module._forward_hooks for module in model.activations)


def test_another_thread_is_not_stopped_at_the_layer(model):
    """A run of the same model elsewhere, while the hook is there, goes through to its end."""
    elsewhere = []

    def run():
        with torch.no_grad():
            return model.network(torch.tensor([[0, 5]])).logits

    class RunsTheModelElsewhere:
        def advance(self, amount, message=""):
            with ThreadPoolExecutor(1) as pool:
                elsewhere.append(pool.submit(run).result())

    drivers(model, TEXTS[:1], 0, 3, progress=RunsTheModelElsewhere())
    assert len(elsewhere) == 1
    assert elsewhere[0].shape[1] == 2


@settings(deadline=None)
@given(st.text(alphabet="ab .。\n", max_size=30), st.data())
def test_pieces_make_up_the_text(text, data):
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    spans = [(a, b) for a, b in pairwise(cuts) if b > a]
    values = list(np.arange(len(spans), dtype=float))
    found = _sentences(0, text, spans, values)
    assert [v for s in found for v in s.activations if v] == values[1:]
    for sentence in found:
        assert len(sentence.pieces) == len(sentence.activations)
        assert sentence.text in text


def test_nearest_neurons_are_those_of_highest_correlation():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 100, (5, 2, 6))
    counts[:, 0, 4] = 50  # the same everywhere
    counts[:, 1, 5] = counts[:, 0, 2]
    table = ActivationTable(tuple("abcde"), counts, rng.normal(size=counts.shape), np.full(5, 100))
    found = nearest_neurons(table, 0, 2, count=20)
    assert len(found) == 10  # neither itself nor the constant one
    assert found.iloc[0][["layer", "neuron", "difference"]].tolist() == [1, 5, 0]
    assert found.correlation.is_monotonic_decreasing
    p = table.probability
    for row in found.itertuples():
        expected = np.corrcoef(p[:, 0, 2], p[:, row.layer, row.neuron])[0, 1]
        assert row.correlation == pytest.approx(expected)
        assert row.difference == np.abs(p[:, 0, 2] - p[:, row.layer, row.neuron]).max()
    with pytest.raises(InputError, match="as often active in every language"):
        nearest_neurons(table, 0, 4)
    with pytest.raises(InputError, match="at least three"):
        nearest_neurons(ActivationTable(("a", "b"), counts[:2], counts[:2], table.tokens[:2]), 0, 2)


def test_what_is_not_there(model):
    with pytest.raises(InputError, match="no neuron 64 in layer 0"):
        drivers(model, TEXTS, 0, 64)
    with pytest.raises(InputError, match="empty"):
        drivers(model, ["", " \n"], 0, 0)
