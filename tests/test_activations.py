"""Activation statistics of every architecture against a naive count in float64."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from bridgex_core import models
from bridgex_core.activations import (
    ActivationStats,
    batches,
    collect,
    recording,
    split_blocks,
)
from bridgex_core.errors import Cancelled, InputError

WIDTH, LAYERS, VOCABULARY = 24, 3, 50


class LetterTokenizer:
    """One token a letter; with or without a BOS token."""

    pad_token_id = 0
    eos_token_id = 2

    def __init__(self, bos: int | None) -> None:
        self.bos_token_id = bos

    def __call__(self, text: str, add_special_tokens: bool = False) -> SimpleNamespace:
        return SimpleNamespace(input_ids=[3 + ord(letter) % 47 for letter in text])


def small(**more):
    """Configuration names that most architectures share."""
    return dict(
        vocab_size=VOCABULARY, hidden_size=16, intermediate_size=WIDTH, num_hidden_layers=LAYERS,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=64, **more,
    )  # fmt: skip


def gelu_tanh(x):
    return functional.gelu(x, approximate="tanh")


# name: (configuration, path of the projection before the activation, the activation)
FAMILIES = {
    "llama": (transformers.LlamaConfig(**small()), "mlp.gate_proj", functional.silu),
    "mistral": (transformers.MistralConfig(**small()), "mlp.gate_proj", functional.silu),
    "qwen2": (transformers.Qwen2Config(**small()), "mlp.gate_proj", functional.silu),
    "qwen3": (transformers.Qwen3Config(**small(head_dim=8)), "mlp.gate_proj", functional.silu),
    "gemma": (transformers.GemmaConfig(**small(head_dim=8)), "mlp.gate_proj", gelu_tanh),
    "gemma2": (transformers.Gemma2Config(**small(head_dim=8)), "mlp.gate_proj", gelu_tanh),
    "gemma3_text": (transformers.Gemma3TextConfig(**small(head_dim=8)), "mlp.gate_proj", gelu_tanh),
    "gpt2": (
        transformers.GPT2Config(
            vocab_size=VOCABULARY, n_embd=16, n_inner=WIDTH, n_layer=LAYERS, n_head=2,
            n_positions=64,
        ),
        "mlp.c_fc",
        gelu_tanh,
    ),
    "bloom": (
        transformers.BloomConfig(vocab_size=VOCABULARY, hidden_size=6, n_layer=LAYERS, n_head=2),
        "mlp.dense_h_to_4h",
        gelu_tanh,
    ),
    "opt": (
        transformers.OPTConfig(
            vocab_size=VOCABULARY, hidden_size=16, ffn_dim=WIDTH, num_hidden_layers=LAYERS,
            num_attention_heads=2, max_position_embeddings=64, word_embed_proj_dim=16,
        ),
        "fc1",
        functional.relu,
    ),
    "gpt_neox": (
        transformers.GPTNeoXConfig(**{**small(), "num_key_value_heads": None}),
        "mlp.dense_h_to_4h",
        functional.gelu,
    ),
    "phi3": (transformers.Phi3Config(**small(pad_token_id=0)), "mlp.gate_up_proj", functional.silu),
}  # fmt: skip

TEXTS = ("All human beings", "are born", "", "free and equal in dignity and rights")


def build(name: str, bos: int | None = 1) -> models.Model:
    """A tiny random network of an architecture, in float64."""
    torch.manual_seed(7)
    network = transformers.AutoModelForCausalLM.from_config(FAMILIES[name][0]).double()
    for parameter in network.parameters():  # zero biases would hide a mistake
        torch.nn.init.normal_(parameter, std=0.4)
    return models.wrap(network, LetterTokenizer(bos))


def naive(model: models.Model, name: str, texts, room: int):
    """Counts and sums, one piece of text at a time, one token at a time, from the projection."""
    _, projection, activation = FAMILIES[name]
    layers = models._find(model.network, models.ARCHITECTURES[name].layers)
    counts = np.zeros((len(texts), LAYERS, model.width), dtype=np.int64)
    sums = np.zeros((len(texts), LAYERS, model.width))
    tokens = np.zeros(len(texts), dtype=np.int64)
    for block, text in enumerate(texts):
        ids = model.encode(text)
        pieces = -(-len(ids) // room)
        size = -(-len(ids) // pieces) if pieces else 1
        for start in range(0, len(ids), size):
            piece = ids[start : start + size]
            caught: dict[int, torch.Tensor] = {}
            handles = [
                models._find(layer, projection).register_forward_hook(
                    lambda _m, _i, out, n=n, caught=caught: caught.__setitem__(n, out)
                )
                for n, layer in enumerate(layers)
            ]
            with torch.no_grad():
                model.network(input_ids=torch.tensor([[*model.bos, *piece]]))
            for handle in handles:
                handle.remove()
            for n in range(LAYERS):
                values = activation(caught[n].reshape(-1, caught[n].shape[-1])[:, : model.width])
                for position in range(len(model.bos), len(model.bos) + len(piece)):
                    for i in range(model.width):
                        value = float(values[position, i])
                        counts[block, n, i] += value > 0
                        sums[block, n, i] += value
            tokens[block] += len(piece)
    return counts, sums, tokens


@pytest.mark.parametrize("bos", [1, None])
@pytest.mark.parametrize("name", FAMILIES)
def test_equals_a_naive_count(name, bos):
    model = build(name, bos)
    stats = collect(model, TEXTS, block_tokens=12, batch_tokens=40)
    counts, sums, tokens = naive(model, name, TEXTS, 12 - len(model.bos))
    assert (stats.positive_counts == counts).all()
    assert (stats.token_counts == tokens).all()
    np.testing.assert_allclose(stats.sums, sums, rtol=1e-5, atol=1e-5)
    assert stats.positive_counts.dtype == stats.token_counts.dtype == np.int64
    assert stats.sums.dtype == np.float64
    assert model.width == WIDTH


def test_batching_and_padding_change_nothing():
    model = build("llama")
    alone = collect(model, TEXTS, block_tokens=12, batch_tokens=1)
    together = collect(model, TEXTS, block_tokens=12, batch_tokens=10_000)
    assert (alone.positive_counts == together.positive_counts).all()
    np.testing.assert_allclose(alone.sums, together.sums, rtol=1e-6, atol=1e-6)


def test_the_head_is_never_computed():
    model = build("llama")

    def refuse(*_):
        raise AssertionError("the output head was computed")

    model.network.lm_head.register_forward_hook(refuse)
    collect(model, TEXTS)


def test_hooks_are_gone_afterwards_and_after_an_exception():
    model = build("llama")
    with pytest.raises(RuntimeError), recording(model, lambda *_: None):
        raise RuntimeError
    collect(model, TEXTS)
    assert not any(module._forward_hooks for module in model.activations)


def test_statistics_of_two_texts_add_up():
    model = build("mistral")
    both = collect(model, TEXTS)
    first, second = collect(model, TEXTS[:2]), collect(model, TEXTS[2:])
    joined = first + second
    assert (joined.positive_counts == both.positive_counts).all()
    assert (joined.token_counts == both.token_counts).all()
    np.testing.assert_allclose(joined.sums, both.sums, rtol=1e-6, atol=1e-6)


def test_an_interrupted_collection_goes_on_where_it_stopped():
    model = build("llama")
    whole = collect(model, TEXTS, batch_tokens=1)
    kept: dict[int, ActivationStats] = {}

    class StopAfterTwo:
        steps = 0

        def advance(self, amount, message=""):
            self.steps += 1
            if self.steps == 2:
                raise Cancelled

    with pytest.raises(Cancelled):
        collect(model, TEXTS, batch_tokens=1, on_block=kept.__setitem__, progress=StopAfterTwo())
    assert sorted(kept) == [0, 1, 2]  # two texts, and the empty one at once
    collect(model, TEXTS, batch_tokens=1, skip=frozenset(kept), on_block=kept.__setitem__)
    assert sorted(kept) == [0, 1, 2, 3]
    for block, stats in kept.items():
        assert (stats.positive_counts[0] == whole.positive_counts[block]).all()


def test_too_many_too_few_and_empty_texts():
    model = build("llama")
    with pytest.raises(InputError, match="no text"):
        collect(model, [])
    with pytest.raises(InputError, match="at most 32 blocks, not 33"):
        collect(model, ["a"] * 33)
    with pytest.raises(InputError, match="empty"):
        collect(model, ["", ""])


def random_stats(seed: int, blocks: int) -> ActivationStats:
    rng = np.random.default_rng(seed)
    return ActivationStats(
        rng.integers(0, 300, (blocks, 2, 5)),
        rng.normal(size=(blocks, 2, 5)),
        rng.integers(1, 300, blocks),
    )


@settings(deadline=None)
@given(st.integers(0, 99), st.integers(1, 32), st.integers(1, 32), st.integers(1, 40))
def test_adding_and_folding_keep_the_totals(seed, first, second, target):
    a, b = random_stats(seed, first), random_stats(seed + 1, second)
    for result in (a + b, (a + b).fold(target)):
        assert result.blocks <= 32
        assert result.tokens == a.tokens + b.tokens
        totals = a.positive_counts.sum(0) + b.positive_counts.sum(0)
        assert (result.positive_counts.sum(0) == totals).all()
        np.testing.assert_allclose(result.sums.sum(0), a.sums.sum(0) + b.sums.sum(0))


def test_an_even_fold_keeps_odd_and_even_apart():
    stats = random_stats(0, 31)
    folded = stats.fold(8)
    assert (folded.positive_counts[::2].sum(0) == stats.positive_counts[::2].sum(0)).all()


@settings(deadline=None)
@given(st.integers(0, 99), st.integers(1, 32))
def test_tensors_round_trip(seed, blocks):
    stats = random_stats(seed, blocks)
    again = ActivationStats.from_tensors(stats.tensors())
    assert (again.positive_counts == stats.positive_counts).all()
    assert (again.sums == stats.sums).all()
    assert stats.tensors()["positive_counts"].dtype.itemsize <= 2


@given(st.lists(st.lists(st.integers(0, 9), max_size=40), max_size=8), st.integers(1, 12))
def test_splitting_loses_nothing_and_stays_even(blocks, room):
    pieces = split_blocks(blocks, room)
    for number, ids in enumerate(blocks):
        mine = [tokens for block, tokens in pieces if block == number]
        assert [t for tokens in mine for t in tokens] == ids
        assert all(0 < len(tokens) <= room for tokens in mine)
        assert len(mine) == -(-len(ids) // room)


@given(
    st.lists(st.lists(st.integers(3, 9), max_size=40), max_size=8),
    st.integers(2, 12),
    st.integers(1, 50),
)
def test_batches_hold_every_token_once_and_respect_their_size(blocks, room, size):
    seen: dict[int, list[int]] = {}
    for batch in batches(blocks, bos=[1], pad=0, block_tokens=room, batch_tokens=size):
        assert batch.ids.size <= max(size, batch.ids.shape[1])
        for row, length, block in zip(batch.ids, batch.lengths, batch.blocks, strict=True):
            assert row[0] == 1
            assert (row[length:] == 0).all()
            seen.setdefault(int(block), []).extend(row[1:length].tolist())
    assert seen == {i: ids for i, ids in enumerate(blocks) if ids}


def test_a_batch_needs_room_for_a_token():
    with pytest.raises(InputError, match="at least one token"):
        list(batches([[1]], bos=[1], block_tokens=1))
