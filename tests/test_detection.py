"""Impacts of all neurons at once against zeroing them one by one."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from bridgex_core.activations import collect
from bridgex_core.detection import impact_agreement, impacts
from bridgex_core.errors import InputError
from bridgex_core.interventions import Intervention, intervene, mask_of
from tests.test_activations import LAYERS, WIDTH, build

TEXTS = ["are born", "", "free"]


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
