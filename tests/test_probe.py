"""The probe against one prompt at a time, and what half precision costs."""

import numpy as np
import pytest
import torch

from bridgex_core.errors import InputError
from bridgex_core.probe import ProbeActivations, record
from tests.test_activations import LAYERS, WIDTH, build

PROMPTS = ["a", 'Deutsch:"Hund"→Français:', "free and equal", 'English:"sun"→Kiswahili:', "zz"]


def one_at_a_time(model) -> np.ndarray:
    """Hook each activation module, run each prompt alone, average in float64."""
    values = np.empty((LAYERS, WIDTH, len(PROMPTS)))
    for p, prompt in enumerate(PROMPTS):
        caught = []
        handles = [
            module.register_forward_hook(lambda _m, _i, out, caught=caught: caught.append(out))
            for module in model.activations
        ]
        with torch.no_grad():
            model.network(input_ids=torch.tensor([[*model.bos, *model.encode(prompt)]]))
        for handle in handles:
            handle.remove()
        for layer, out in enumerate(caught):
            values[layer, :, p] = out.reshape(-1, WIDTH)[len(model.bos) :].mean(0).numpy()
    return values


@pytest.mark.parametrize("bos", [1, None])
@pytest.mark.parametrize("name", ["llama", "gpt2", "opt", "bloom"])
def test_equals_one_prompt_at_a_time(name, bos):
    model = build(name, bos)
    expected = one_at_a_time(model)
    spread = expected.std(axis=2, keepdims=True)
    alive = spread[:, :, 0] > 1e-9  # a ReLU may never open
    for batch_tokens in (1, 40, 10_000):
        found = record(model, PROMPTS, batch_tokens=batch_tokens)
        error = (found.values - expected)[alive] / spread[alive]
        assert np.sqrt(np.mean(error**2)) < 1e-3
        assert found.lengths.tolist() == [len(model.encode(p)) for p in PROMPTS]


def test_half_precision_costs_less_than_a_thousandth_of_a_row():
    """Rows with a mean far above their spread are the hard case; float16 keeps 11 bits."""
    rng = np.random.default_rng(0)
    values = (1000 + rng.normal(size=(2, 50, 40))).astype(np.float32)
    again = ProbeActivations.from_tensors(ProbeActivations(values, np.ones(40, int)).tensors())
    error = np.sqrt(np.mean((again.values - values) ** 2, axis=2)) / values.std(axis=2)
    assert error.max() < 1e-3
    assert again.rows(1, np.array([2, 5])).shape == (2, 40)


def test_what_half_precision_cannot_hold_is_told():
    values = np.zeros((1, 1, 2), np.float32)
    values[0, 0, 0] = 1e6
    with pytest.raises(InputError, match="not finite in half precision"):
        ProbeActivations(values, np.ones(2, int)).tensors()


def test_no_empty_or_endless_prompts():
    model = build("llama")
    with pytest.raises(InputError, match="no prompt"):
        record(model, [])
    with pytest.raises(InputError, match="empty"):
        record(model, ["word", ""])
    with pytest.raises(InputError, match="more than the model's context of 64"):
        record(model, ["x" * 64])
