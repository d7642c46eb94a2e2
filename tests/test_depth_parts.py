"""The parts of the depth against planted turns and all divisions tried one by one."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgex_core.depth_parts import PARTS, depth_parts
from bridgex_core.errors import InputError
from bridgex_core.neuron_classes import AGNOSTIC, CLASSES, INACTIVE, SPECIFIC, Classes


def classes_of(language_share, agnostic_share, width: int = 1000) -> Classes:
    """Classes with these shares of specific and of agnostic neurons by layer."""
    labels = np.full((len(language_share), width), INACTIVE, dtype=np.int8)
    for row, mine, shared in zip(labels, language_share, agnostic_share, strict=True):
        first, last = round(mine * width), round((mine + shared) * width)
        row[:first], row[first:last] = SPECIFIC, AGNOSTIC
    return Classes("membership", ("a", "b"), labels, CLASSES, np.zeros((2, *labels.shape), bool))


def test_planted_turns_are_found():
    rng = np.random.default_rng(0)
    lengths = (3, 7, 5, 2)
    mine = np.repeat([0.20, 0.05, 0.12, 0.30], lengths) + rng.normal(scale=0.005, size=17)
    shared = np.repeat([0.10, 0.40, 0.25, 0.05], lengths) + rng.normal(scale=0.005, size=17)
    found = depth_parts(classes_of(mine, shared))
    assert dict(found.parts) == {
        "understanding": range(3),
        "shared reasoning": range(3, 10),
        "output transformation": range(10, 15),
        "output": range(15, 17),
    }
    assert found.boundaries == (3, 10, 15)
    assert found.explained[0] == 0
    assert found.explained[3] > 0.98
    assert found.explained[3] - found.explained[2] > 0.05
    np.testing.assert_allclose(found.curves, [mine, shared], atol=0.001)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(4, 11))
def test_no_division_explains_more(seed, layers):
    rng = np.random.default_rng(seed)
    found = depth_parts(classes_of(rng.random(layers) / 2, rng.random(layers) / 2))
    curves = (found.curves - found.curves.mean(1, keepdims=True)) / found.curves.std(
        1, keepdims=True
    )

    def explained(starts) -> float:
        runs = np.split(curves, starts, axis=1)
        left = sum(((run - run.mean(1, keepdims=True)) ** 2).sum() for run in runs)
        return 1 - left / (curves**2).sum()

    for parts in range(1, 5):
        best = max(explained(list(starts)) for starts in combinations(range(1, layers), parts - 1))
        assert found.explained[parts - 1] == pytest.approx(best, abs=1e-9)
    assert found.explained[3] == pytest.approx(explained(list(found.boundaries)), abs=1e-9)
    assert [layer for part in found.parts.values() for layer in part] == list(range(layers))
    assert all(len(part) for part in found.parts.values())


def test_flat_curves_are_divided_anyhow_and_explain_nothing():
    found = depth_parts(classes_of([0.1] * 6, [0.2] * 6))
    assert found.boundaries == (1, 2, 3)
    assert (found.explained == 0).all()


def test_four_layers_are_four_parts_and_fewer_are_refused():
    assert depth_parts(classes_of([0.1, 0.2, 0.3, 0.4], [0.1] * 4)).boundaries == (1, 2, 3)
    assert len(PARTS) == 4
    with pytest.raises(InputError, match="four layers; this model has 3"):
        depth_parts(classes_of([0.1] * 3, [0.1] * 3))
