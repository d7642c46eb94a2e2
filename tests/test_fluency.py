"""Bits per byte against transformers' own loss."""

import bz2

import numpy as np
import pytest
import torch

from bridgex_core.errors import InputError
from bridgex_core.fluency import Fluency, hardly_known, score_text, untaught_bits_per_byte
from tests.test_activations import TEXTS, build


def test_bits_equal_transformers_own_loss():
    model = build("llama")
    fluency = score_text(model, TEXTS)
    for block, text in enumerate(TEXTS):
        ids = model.encode(text)
        expected = 0.0
        if ids:
            inputs = torch.tensor([[*model.bos, *ids]])
            with torch.no_grad():  # the loss is the mean over the tokens after the first
                expected = float(model.network(inputs, labels=inputs).loss) * len(ids) / np.log(2)
        assert fluency.bits[block] == pytest.approx(expected, rel=1e-5)
        assert fluency.byte_counts[block] == len(text.encode())


def test_a_long_block_is_cut_at_the_context():
    model = build("llama")
    text = "abcdefghij" * 15
    whole = score_text(model, [text])
    pieces = [text[i * 50 : (i + 1) * 50] for i in range(3)]
    assert whole.bits[0] == pytest.approx(score_text(model, pieces).bits.sum())


def test_without_a_bos_token_the_end_token_starts():
    model = build("gpt2", bos=None)
    inputs = torch.tensor([[2, *model.encode("rights")]])
    with torch.no_grad():
        expected = float(model.network(inputs, labels=inputs).loss) * 6 / np.log(2)
    assert score_text(model, ["rights"]).bits[0] == pytest.approx(expected, rel=1e-5)
    model.tokenizer.eos_token_id = None
    with pytest.raises(InputError, match="neither a beginning nor an end token"):
        score_text(model, ["rights"])


def test_skipped_blocks_are_not_computed_again():
    model = build("llama")
    seen = {}
    score_text(model, TEXTS, skip=frozenset([0, 3]), on_block=seen.__setitem__)
    assert sorted(seen) == [1, 2]
    assert seen[1].bits[0] == pytest.approx(score_text(model, TEXTS).bits[1])


def test_bits_per_byte_and_its_jackknife_by_hand():
    fluency = Fluency(np.array([10.0, 20.0, 0.0]), np.array([10, 10, 0]))
    assert fluency.bits_per_byte == 1.5
    # leaving one out gives 2 and 1: variance (n-1)/n * (0.25 + 0.25) = 0.25
    low, high = fluency.interval
    assert high - 1.5 == pytest.approx(1.959964 * 0.5)
    assert 1.5 - low == pytest.approx(1.959964 * 0.5)
    assert np.isnan(Fluency(np.array([1.0]), np.array([1])).interval).all()


def test_no_text_at_all():
    with pytest.raises(InputError, match="no text"):
        score_text(build("llama"), ["", ""])


def test_a_language_is_hardly_known_when_a_compressor_does_as_well():
    texts = ["All human beings are born free and equal in dignity and rights."] * 3
    size = len("\n".join(texts).encode())
    compressed = 8 * len(bz2.compress("\n".join(texts).encode())) / size
    assert untaught_bits_per_byte(texts) == pytest.approx(compressed)
    for bits, expected in ((compressed * 1.01, True), (compressed * 0.99, False)):
        fluency = Fluency(np.array([bits * 100]), np.array([100]))
        assert hardly_known(fluency, texts) is expected
