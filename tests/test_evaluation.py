"""Tables of evaluations against hand-computed cases, ranks against naive ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgex_core.errors import InputError
from bridgex_core.evaluation import (
    Evaluation,
    RouteResult,
    accepted_candidates,
    corrected,
    ranks_of_gold,
)
from bridgex_core.statistical_tests import holm, mcnemar, paired_bootstrap

DIRECT, EN, ES = ("s", "t"), ("s", "en", "t"), ("s", "es", "t")


def result(route, scores, ranks=None) -> RouteResult:
    named = {} if ranks is None else {"summed": np.array(ranks), "calibrated": np.array(ranks) + 1}
    answers = tuple(("x",) * (len(route) - 1) for _ in scores)
    return RouteResult(route, np.array(scores, dtype=float), answers, named)


def evaluation(*runs, measure="accuracy") -> Evaluation:
    count = len(runs[0][0].scores)
    items = tuple(f"item {k}" for k in range(count))
    return Evaluation("bli", measure, items, tuple((i,) for i in items), runs)


@given(
    st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=5),
    st.sets(st.integers(0, 3), min_size=1),
)
def test_ranks_against_counting(rows, accepted):
    scores = np.array(rows, dtype=float)
    ranks = ranks_of_gold(scores, [sorted(accepted)] * len(rows))
    for row, rank in zip(rows, ranks, strict=True):
        best = max(row[k] for k in accepted)
        ahead = [k for k in range(4) if k not in accepted and row[k] >= best]
        assert rank == 1 + len(ahead)


def test_a_gold_word_that_is_no_candidate():
    with pytest.raises(InputError, match="not among"):
        ranks_of_gold(np.zeros((1, 2)), [[]])


def test_candidates_are_accepted_as_answers_are():
    found = accepted_candidates(["Dog", "cat", "dog!", "שָׁלוֹם"], [["dog"], ["שלום", "CAT"], ["cow"]])
    assert found == [[0, 2], [1, 3], []]


def test_a_table_by_hand():
    direct = result(DIRECT, [1, 0, 0, 0], [1, 2, 4, 4])
    english = result(EN, [1, 1, 1, 0], [1, 1, 1, 2])
    spanish = result(ES, [0, 0, 0, 0], [2, 2, 4, 4])
    whole = evaluation((direct,), (english,), (spanish,))
    table = whole.table()
    assert list(table["bridge"]) == ["", "en", "es"]
    assert list(table["route"]) == ["s t", "s en t", "s es t"]
    assert list(table["accuracy"]) == [0.25, 0.75, 0]
    np.testing.assert_allclose(table["mrr"], [0.5, 0.875, 0.375])
    np.testing.assert_allclose(table["first"], [0.25, 0.75, 0])
    np.testing.assert_allclose(table["difference"].iloc[1:], [0.5, -0.25])
    assert (table["low"] <= table["accuracy"]).all()
    assert (table["accuracy"] <= table["high"]).all()
    # fixed 2, broken 0: two-sided 2 · (1/2)²; broken 1: 1
    np.testing.assert_allclose(table["p_value"].iloc[1:], [0.5, 1])
    np.testing.assert_allclose(table["p_holm"].iloc[1:], [1, 1])
    assert list(table["test"].iloc[1:]) == ["McNemar", "McNemar"]
    assert [list(table[name].iloc[1:]) for name in ("fixed", "broken")] == [[2, 0], [0, 1]]
    assert table.iloc[0][["difference", "p_value", "p_holm", "mrr_difference"]].isna().all()
    np.testing.assert_allclose(table["mrr_difference"].iloc[1:], [0.375, -0.125])
    tests = [
        paired_bootstrap(1 / direct.ranks["summed"], 1 / other.ranks["summed"])
        for other in (english, spanish)
    ]
    assert list(table["mrr_p_value"].iloc[1:]) == [each.p_value for each in tests]
    assert list(table["mrr_p_holm"].iloc[1:]) == list(holm([each.p_value for each in tests]))
    calibrated = whole.table("calibrated")
    np.testing.assert_allclose(calibrated["mrr"].iloc[0], (1 / 2 + 1 / 3 + 2 / 5) / 4)


def test_which_items_a_bridge_fixes_and_breaks():
    whole = evaluation((result(DIRECT, [1, 0, 0, 1]),), (result(EN, [0, 1, 0, 1]),))
    against = whole.compared(1)
    assert (against.fixed, against.broken, against.difference) == ((1,), (0,), 0)
    assert against.p_value == mcnemar([1, 0, 0, 1], [0, 1, 0, 1]).p_value
    assert whole.compared(0) is None
    assert whole.routes == (DIRECT, EN)


def test_several_seeds_are_averaged_and_bootstrapped():
    direct = (result(DIRECT, [1, 0, 0], [1, 2, 2]), result(DIRECT, [0, 0, 0], [2, 2, 1]))
    english = (result(EN, [1, 1, 0], [1, 1, 2]), result(EN, [1, 0, 0], [1, 2, 2]))
    whole = evaluation(direct, english)
    np.testing.assert_allclose(whole.scores(0), [0.5, 0, 0])
    np.testing.assert_allclose(whole.reciprocal_ranks(0), [0.75, 0.5, 0.75])
    np.testing.assert_allclose(whole.first_ranks(0), [0.5, 0, 0.5])
    against = whole.compared(1)
    assert against.test == "paired bootstrap"
    assert against.p_value == paired_bootstrap([0.5, 0, 0], [1, 0.5, 0]).p_value
    assert against.fixed == (0,)  # right in both of its runs, not in most of the direct ones


def test_where_hardly_anything_is_right():
    few, many = [0.0] * 19 + [1.0], [1.0] * 10 + [0.0] * 10
    assert evaluation((result(DIRECT, few),)).is_hardly_right
    assert not evaluation((result(DIRECT, few),), (result(EN, many),)).is_hardly_right
    assert not evaluation((result(DIRECT, few),), measure="chrF").is_hardly_right


def test_chrf_is_never_mcnemars():
    whole = evaluation((result(DIRECT, [0.4, 0.3]),), (result(EN, [0.6, 0.2]),), measure="chrF")
    table = whole.table()
    assert list(table["test"].iloc[1:]) == ["paired bootstrap"]
    np.testing.assert_allclose(table["chrF"], [0.35, 0.4])
    assert not {"mrr", "first", "mrr_p_holm", "accuracy"} & set(table)


def test_without_a_direct_route_nothing_is_tested():
    table = evaluation((result(EN, [1, 0], [1, 2]),), (result(ES, [0, 1], [2, 1]),)).table()
    assert not {"p_value", "p_holm", "difference", "mrr_p_value"} & set(table)
    assert list(evaluation((result(DIRECT, [1, 0]),)).table()["accuracy"]) == [0.5]


def test_a_route_without_ranks_beside_one_that_has_them():
    whole = evaluation((result(DIRECT, [1, 0]),), (result(EN, [0, 1], [2, 1]),))
    table = whole.table()
    assert np.isnan(table["mrr"].iloc[0])
    assert "mrr_p_value" not in table
    assert whole.reciprocal_ranks(0) is None


def test_holm_goes_over_all_rows_and_leaves_direct_alone():
    import pandas as pd

    raw = pd.DataFrame({"p_value": [np.nan, 0.01, 0.04, np.nan, 0.03]})
    adjusted = corrected(raw)["p_holm"]
    np.testing.assert_allclose(adjusted, [np.nan, 0.03, 0.06, np.nan, 0.06])
    assert "p_holm" not in raw


def test_a_result_comes_back_from_what_is_stored():
    one = result(EN, [1, 0], [1, 3])
    again = RouteResult.from_entry(one.tensors(), one.texts())
    assert (again.route, again.answers, again.bridge) == (one.route, one.answers, "en")
    np.testing.assert_array_equal(again.scores, one.scores)
    assert set(again.ranks) == {"summed", "calibrated"}
    np.testing.assert_array_equal(again.ranks["summed"], [1, 3])


def test_what_does_not_fit_together():
    with pytest.raises(ValueError, match="same items"):
        RouteResult(DIRECT, np.ones(2), (("x",),))
    with pytest.raises(ValueError, match="not of these items"):
        Evaluation("bli", "accuracy", ("a",), (("A",),), ((result(DIRECT, [1, 0]),),))
    one, other = result(DIRECT, [1, 0]), result(EN, [1, 0])
    with pytest.raises(ValueError, match="same seeds"):
        evaluation((one,), (other, other))
