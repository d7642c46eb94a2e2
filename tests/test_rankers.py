"""Rankers against each other and against measured gains, by hand and against naive loops."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgex_core.errors import InputError
from bridgex_core.rankers import (
    COMBINED,
    PLACE,
    fit_combination,
    kendall,
    left_out_scores,
    losses,
    quality,
    recommended,
)

BRIDGES = ["en", "de", "fr", "es"]


def long(table, columns):
    """{(source, target): rows of one value a column, a row a bridge} as a long table."""
    rows = [
        (*pair, bridge, *values)
        for pair, lines in table.items()
        for bridge, values in zip(BRIDGES, lines, strict=False)
    ]
    return pd.DataFrame(rows, columns=[*PLACE, *columns])


PAIRS = [("a", "x"), ("b", "x"), ("a", "y")]
MEASURED = long(
    {
        PAIRS[0]: [[0.4], [0.3], [0.1]],
        PAIRS[1]: [[0.1], [0.2], [0.2]],
        PAIRS[2]: [[0.5], [0.1], [0.3]],
    },
    ["mrr"],
)
SCORES = long(
    {
        PAIRS[0]: [[3, 1, np.nan], [2, 1, np.nan], [1, 1, np.nan]],  # the best; all; none
        PAIRS[1]: [[3, 1, 5], [2, 2, np.nan], [1, 2, 6]],  # the worst; two of the best; a best
        PAIRS[2]: [[1, 1, 1], [2, 1, 3], [3, 2, 2]],  # the middle; the middle; the worst
    },
    ["one", "two", "three"],
)


# ---- Regret, hits, Kendall -----------------------------------------------------------------------


def test_losses_by_hand():
    one = losses(SCORES, MEASURED, "one", "mrr").set_index(["source", "target"])
    assert one["regret"].to_dict() == pytest.approx({PAIRS[0]: 0, PAIRS[1]: 0.1, PAIRS[2]: 0.2})
    assert one["hit"].to_dict() == {PAIRS[0]: 1, PAIRS[1]: 0, PAIRS[2]: 0}
    two = losses(SCORES, MEASURED, "two", "mrr").set_index(["source", "target"])
    first = 0.4 - (0.4 + 0.3 + 0.1) / 3
    assert two["regret"].to_dict() == pytest.approx({PAIRS[0]: first, PAIRS[1]: 0, PAIRS[2]: 0.2})
    assert two["hit"].to_dict() == pytest.approx({PAIRS[0]: 1 / 3, PAIRS[1]: 1, PAIRS[2]: 0})
    three = losses(SCORES, MEASURED, "three", "mrr").set_index(["source", "target"])
    assert three["regret"].to_dict() == pytest.approx({PAIRS[1]: 0, PAIRS[2]: 0.4})


def test_what_was_not_measured_is_no_bridge_and_rounding_no_choice():
    measured = MEASURED.copy()
    measured.loc[0, "mrr"] = np.nan  # the best bridge of the first pair
    one = losses(SCORES, measured, "one", "mrr").set_index(["source", "target"])
    assert one["regret"][PAIRS[0]] == 0  # against the best of the others
    everywhere = MEASURED.assign(mrr=np.nan)
    assert losses(SCORES, everywhere, "one", "mrr").empty
    noisy = SCORES.assign(two=1 + 1e-15 * np.arange(len(SCORES)))
    assert losses(noisy, MEASURED, "two", "mrr")["hit"].tolist() == pytest.approx(
        [1 / 3, 1 / 3, 2 / 3]  # by source and target; of each pair all three are first
    )


def test_quality_is_over_the_pairs_that_all_can_judge():
    table = quality(SCORES, MEASURED, ["one", "two"]).set_index("ranker")
    assert table["pairs"].tolist() == [3, 3]
    assert table["regret"].to_dict() == pytest.approx(
        {"one": 0.1, "two": (0.4 - 0.8 / 3 + 0.2) / 3}
    )
    assert table["hits"].to_dict() == pytest.approx({"one": 1 / 3, "two": (1 / 3 + 1) / 3})
    assert (table["low"] <= table["regret"]).all()
    assert (table["regret"] <= table["high"]).all()
    assert list(table.index) == ["one", "two"]  # lowest regret first

    # One that cannot judge the first pair: that pair counts for nobody.
    fewer = quality(SCORES, MEASURED, ["one", "three"]).set_index("ranker")
    assert fewer["pairs"].tolist() == [2, 2]
    assert fewer["regret"].to_dict() == pytest.approx({"one": 0.15, "three": 0.2})
    # One that can judge nothing is no reason to leave pairs out.
    never = SCORES.assign(never=np.nan)
    assert quality(never, MEASURED, ["one", "never"])["pairs"].tolist() == [3]
    assert quality(never, MEASURED, ["never"]).empty
    assert recommended(quality(never, MEASURED, ["never"])) is None


def test_kendall_by_hand():
    scores = long(
        {
            PAIRS[0]: [[1, 1, 7], [2, 2, 7], [3, 4, 7], [4, 3, 7]],  # 5 of 6 pairs agree
            PAIRS[1]: [[1, 4, 1], [2, 3, 1], [3, 2, 2], [4, 1, np.nan]],  # all disagree
        },
        ["one", "two", "flat"],
    )
    table = kendall(scores, ["one", "two", "flat"])
    assert table.loc["one", "two"] == table.loc["two", "one"] == pytest.approx((4 / 6 - 1) / 2)
    assert table.loc["one", "one"] == pytest.approx(1)
    # Of three bridges one ties with another: tau-b of 2 agreeing pairs, by √(3 · 2).
    assert table.loc["one", "flat"] == pytest.approx(2 / np.sqrt(6))
    alone = kendall(scores[scores["source"] == "a"], ["one", "flat"])
    assert np.isnan(alone.loc["one", "flat"])


# ---- The combination ---------------------------------------------------------------------------


def study(seed, rankers=3, targets=("x", "y", "z"), sources=("a", "b", "c")):
    """Scores and measured values at random."""
    random = np.random.default_rng(seed)
    pairs = list(itertools.product(sources, targets))
    names = [f"r{n}" for n in range(rankers)]
    scores = long({p: random.normal(size=(4, rankers)) for p in pairs}, names)
    return scores, long({p: random.random((4, 1)) for p in pairs}, ["mrr"]), names


def naive_weights(scores, measured, names):
    """Least squares with one more row a weight, whose value should be 0."""
    rows, values = [], []
    both = scores.merge(measured, on=PLACE)
    for _, group in both.groupby(["source", "target"]):
        columns = {}
        for name in [*names, "mrr"]:
            value = group[name].to_numpy()
            spread = value.std()
            columns[name] = (value - value.mean()) / spread if spread else 0 * value
        rows += np.column_stack([columns[name] for name in names]).tolist()
        values += columns["mrr"].tolist()
    rows += np.eye(len(names)).tolist()
    return np.linalg.lstsq(np.array(rows), np.array(values + [0.0] * len(names)), rcond=None)[0]


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=10)
def test_the_weights_are_those_of_ridge_regression(seed):
    scores, measured, names = study(seed)
    fitted = fit_combination(scores, measured, names)
    assert fitted.weights == pytest.approx(naive_weights(scores, measured, names))
    assert (fitted.rankers, fitted.pairs) == (tuple(names), 9)


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=10)
def test_what_was_measured_of_a_target_never_shapes_its_own_scores(seed):
    scores, measured, names = study(seed)
    combined = left_out_scores(scores, measured, names)
    own = (scores["target"] == "x").to_numpy()
    lied = measured.copy()
    lied.loc[lied["target"] == "x", "mrr"] = np.random.default_rng(seed + 1).random(own.sum())
    again = left_out_scores(scores, lied, names)
    np.testing.assert_array_equal(combined[own], again[own])
    assert not np.allclose(combined[~own], again[~own])
    others = measured[measured["target"] != "x"]
    weights = naive_weights(scores[~own], others, names)
    group = scores[own].groupby(["source", "target"])[names]
    standard = (scores[own][names] - group.transform("mean")) / group.transform("std", ddof=0)
    assert combined[own].to_numpy() == pytest.approx(standard.to_numpy() @ weights)


def test_a_combination_that_only_wins_by_cheating_is_not_kept():
    """Each ranker knows the answers of one target, and nothing of the others."""
    random = np.random.default_rng(3)
    scores, measured, names = study(0)
    for name, target in zip(names, "xyz", strict=True):
        scores[name] = np.where(scores["target"] == target, measured["mrr"], 0.0)
    scores["fair"] = measured["mrr"] + 0.3 * random.normal(size=len(scores))

    cheated = scores.assign(combined=fit_combination(scores, measured, names).score(scores))
    honest = scores.assign(combined=left_out_scores(scores, measured, names))
    tables = [quality(s, measured, ["fair", COMBINED]) for s in (cheated, honest)]
    assert [recommended(table) for table in tables] == [COMBINED, "fair"]


def test_a_combination_that_wins_honestly_is_kept():
    """Two halves of the answer, which only together tell the best bridge."""
    random = np.random.default_rng(0)
    scores, measured, _ = study(1)
    one, two = random.normal(size=(2, len(scores)))
    measured["mrr"] = one + two
    scores = scores.assign(one=one, two=two)
    scores[COMBINED] = left_out_scores(scores, measured, ["one", "two"])
    table = quality(scores, measured, ["one", "two", COMBINED])
    assert recommended(table) == COMBINED
    assert recommended(table[table["ranker"] != COMBINED]) in ("one", "two")
    draw = pd.DataFrame({"ranker": [COMBINED, "one"], "regret": [0.1, 0.1]})
    assert recommended(draw) == "one"  # it has to be better, not as good


def test_scores_that_say_nothing_weigh_nothing():
    scores, measured, names = study(2)
    scores["flat"] = 0.1
    scores["rounding"] = 1 + 1e-16 * np.arange(len(scores))
    scores["unknown"] = np.nan
    weights = fit_combination(scores, measured, [*names, "flat", "rounding", "unknown"]).weights
    assert weights[-3:].tolist() == [0, 0, 0]
    assert weights[:3] == pytest.approx(fit_combination(scores, measured, names).weights)


def test_without_another_target_there_is_no_combination():
    scores, measured, names = study(0, targets=("x",))
    assert left_out_scores(scores, measured, names).isna().all()
    with pytest.raises(InputError, match="No pair has been measured"):
        fit_combination(scores, measured.assign(target="z"), names)
