"""Interventions against edited weights; that they end, nest, and stay in their own thread."""

import hashlib
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bridgex_core.activations import recording
from bridgex_core.errors import InputError
from bridgex_core.interventions import Intervention, intervene, mask_of, random_control
from bridgex_core.neurons import ActivationTable
from tests.test_activations import FAMILIES, LAYERS, WIDTH, build

SHAPE = (LAYERS, WIDTH)
IDS = torch.tensor([[1, 7, 12, 30, 5, 44]])


def some(seed: int = 0, share: float = 0.2) -> np.ndarray:
    return np.random.default_rng(seed).random(SHAPE) < share


def answer(model) -> torch.Tensor:
    with torch.no_grad():
        return model.network(input_ids=IDS).logits


def recorded(model) -> np.ndarray:
    """(L, tokens, I): the activations that the rest of the network sees."""
    found = {}
    with recording(model, lambda layer, values: found.__setitem__(layer, values.numpy().copy())):
        answer(model)
    return np.stack([found[layer] for layer in range(LAYERS)])


@pytest.mark.parametrize("strength", [0.0, -1.5, 3.0])
@pytest.mark.parametrize("name", FAMILIES)
def test_scaling_is_what_scaled_columns_of_the_next_projection_do(name, strength):
    model, edited = build(name), build(name)
    neurons = some()
    with torch.no_grad():
        for layer, down in enumerate(edited.downs):
            rows = torch.from_numpy(neurons[layer])
            weight = down.weight if hasattr(down, "nx") else down.weight.T  # (I, hidden)
            weight[rows] *= strength
    action = "zero" if strength == 0 else "scale"
    with intervene(model, Intervention(neurons, action, strength)):
        torch.testing.assert_close(answer(model), answer(edited))
    assert not torch.allclose(answer(model), answer(edited))


def test_replacing_puts_the_values_there_and_leaves_the_others_of_the_layer():
    model = build("qwen2")
    neurons = mask_of([0, 0, 2], [3, 5, 1], SHAPE)
    values = np.random.default_rng(1).normal(size=SHAPE)
    before = recorded(model)
    with intervene(model, Intervention(neurons, "replace", values=values)):
        found = recorded(model)
    for layer, neuron in np.argwhere(neurons):
        assert (found[layer, :, neuron] == values[layer, neuron]).all()
    assert (found[0][:, ~neurons[0]] == before[0][:, ~neurons[0]]).all()
    with intervene(model, Intervention(neurons, "replace", 0.25, values)):
        half = recorded(model)
    expected = 0.75 * before[0, :, 3] + 0.25 * values[0, 3]
    np.testing.assert_allclose(half[0, :, 3], expected)


def test_a_languages_mean_is_put_in_place():
    table = ActivationTable(
        ("eng_Latn", "swh_Latn"),
        np.ones((2, *SHAPE), dtype=np.int64),
        np.stack([np.full(SHAPE, 0.5), np.full(SHAPE, -0.25)]),
        np.array([1, 1]),
    )
    model = build("llama")
    with intervene(model, Intervention.by_mean(some(), table, "swh_Latn")):
        assert (recorded(model)[:, :, :].transpose(0, 2, 1)[some()] == -0.25).all()
    with pytest.raises(InputError, match="'fra_Latn' is unknown"):
        Intervention.by_mean(some(), table, "fra_Latn")


@pytest.mark.parametrize(
    "intervention",
    [
        Intervention(some(share=1.1), "scale", 1.0),
        Intervention(some(share=-1.0), "zero"),
        Intervention(some(), "replace", 0.0, np.ones(SHAPE)),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_scaling_by_one_and_an_empty_set_change_nothing_to_the_bit(intervention, dtype):
    model = build("gemma3_text")
    model.network.to(dtype)
    plain = answer(model)
    with intervene(model, intervention):
        assert torch.equal(answer(model), plain)


def test_the_model_is_as_it_was_afterwards_and_after_an_exception():
    model = build("llama")
    weights = {name: value.clone() for name, value in model.network.state_dict().items()}
    plain = answer(model)
    with intervene(model, Intervention(some())):
        assert not torch.equal(answer(model), plain)
    with pytest.raises(RuntimeError), intervene(model, Intervention(some(), "scale", 9.0)):
        raise RuntimeError
    assert torch.equal(answer(model), plain)
    assert not any(module._forward_hooks for module in model.activations)
    for name, value in model.network.state_dict().items():
        assert torch.equal(value, weights[name])


def test_nested_interventions_apply_one_after_the_other():
    model = build("opt")
    neurons, others = some(1), some(2)
    with intervene(model, Intervention(neurons, "scale", 2.0)):
        outer = answer(model)
        with intervene(model, Intervention(neurons, "scale", 3.0)):
            both = answer(model)
        with intervene(model, Intervention(others)):
            assert not torch.equal(answer(model), outer)
        assert torch.equal(answer(model), outer)
    with intervene(model, Intervention(neurons, "scale", 6.0)):
        torch.testing.assert_close(answer(model), both)
    last = Intervention(neurons, "replace", values=np.full(SHAPE, 0.7))
    with intervene(model, Intervention(neurons)), intervene(model, last):
        assert (recorded(model).transpose(0, 2, 1)[neurons] == 0.7).all()


def test_threads_never_see_each_others_intervention():
    model = build("llama")
    plans = [None, Intervention(some(1)), Intervention(some(2), "scale", 3.0)]
    expected = []
    for plan in plans:
        if plan is None:
            expected.append(answer(model))
        else:
            with intervene(model, plan):
                expected.append(answer(model))
    meet = threading.Barrier(len(plans), timeout=60)

    def session(number: int) -> bool:
        same = True
        for _ in range(30):
            meet.wait()  # all run at once, each with its own intervention in force
            if plans[number] is None:
                same &= torch.equal(answer(model), expected[number])
                meet.wait()
                continue
            with intervene(model, plans[number]):
                same &= torch.equal(answer(model), expected[number])
                meet.wait()
        return same

    with ThreadPoolExecutor(len(plans)) as pool:
        assert list(pool.map(session, range(len(plans)))) == [True] * len(plans)
    assert torch.equal(answer(model), expected[0])


def test_a_thread_started_inside_needs_a_copy_of_the_context():
    model = build("llama")
    plain = answer(model)
    with intervene(model, Intervention(some())), ThreadPoolExecutor(1) as pool:
        changed = answer(model)
        assert torch.equal(pool.submit(answer, model).result(), plain)
        inside = pool.submit(copy_context().run, answer, model).result()
    assert torch.equal(inside, changed)


@given(st.integers(0, 9), st.floats(0, 1), st.floats(0, 1))
def test_random_sets_have_the_same_size_in_every_layer(seed, share, living):
    neurons, alive = some(seed, share), some(seed + 1, living)
    control = random_control(neurons, alive=alive, seed=seed)
    assert (control.sum(1) == neurons.sum(1)).all()
    for layer in range(LAYERS):
        if (alive & ~neurons)[layer].sum() >= neurons[layer].sum():
            assert not (control & (neurons | ~alive))[layer].any()
    assert (random_control(neurons, alive=alive, seed=seed) == control).all()


def test_random_sets_differ_by_seed():
    assert (random_control(some(), seed=1) != random_control(some(), seed=2)).any()


def test_what_cannot_be_done():
    with pytest.raises(InputError, match="'delete' is unknown; choose one of zero, scale, replace"):
        Intervention(some(), "delete")
    with pytest.raises(InputError, match="not between -100 and 100"):
        Intervention(some(), "scale", float("nan"))
    with pytest.raises(InputError, match="1e\\+39 is not between"):
        Intervention(some(), "scale", 1e39)
    with pytest.raises(InputError, match="needs the values"):
        Intervention(some(), "replace")
    with pytest.raises(InputError, match="no neuron 24 in layer 0"):
        mask_of([0], [24], SHAPE)
    wrong = Intervention(np.zeros((2, 8), dtype=bool))
    with (
        pytest.raises(InputError, match="2 layers of 8 neurons; this one has 3 of 24"),
        intervene(build("llama"), wrong),
    ):
        pass


def test_identity_says_what_is_done_and_no_more():
    mask, values = some(), np.random.default_rng(2).normal(size=SHAPE)
    outside = np.where(mask, values, 7.0)
    same = [
        (Intervention(mask), Intervention(mask.copy(), "zero", 3.0, values)),
        (Intervention(mask, "scale", 2), Intervention(mask, "scale", 2.0, values)),
        (
            Intervention(mask, "replace", 1.0, values),
            Intervention(mask, "replace", 1.0, outside),
        ),
    ]
    for a, b in same:
        assert a.identity() == b.identity()
    moved = values.copy()
    moved[mask] += 1e-12
    every = [
        *(pair[0] for pair in same),
        Intervention(some(1)),
        Intervention(mask, "scale", 2.5),
        Intervention(mask, "replace", 0.5, values),
        Intervention(mask, "replace", 1.0, moved),
        Intervention(mask.reshape(SHAPE[1], SHAPE[0])),  # the same bits
    ]
    told = [tuple(each.identity().values()) for each in every]
    assert len(set(told)) == len(told)


def test_identity_is_the_same_in_every_process():
    mask = mask_of([0, 1], [2, 0], (2, 3))
    found = Intervention(mask, "replace", 1.0, np.full((2, 3), 0.5)).identity()
    assert found["neurons"] == hashlib.sha256(b"2 3 \x30").hexdigest()
    assert found["values"] == hashlib.sha256(struct.pack("<2d", 0.5, 0.5)).hexdigest()
