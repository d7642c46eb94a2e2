"""What evaluations show: in words that follow the numbers, item by item, and half done."""

import numpy as np
import pandas as pd
import pytest

from bridgex_core.evaluation import Evaluation, RouteResult
from bridgex_core.findings import all_items, bridged, changed_items, in_words, progressed
from bridgex_core.languages import register
from bridgex_core.model_sources import find_model
from bridgex_core.store import Store
from bridgex_core.study import Evaluations, Study, study_table

REGISTER = register()
IND, SWH, ENG, DEU = "ind_Latn", "swh_Latn", "eng_Latn", "deu_Latn"


def result(route, scores, ranks=None, word="x") -> RouteResult:
    answers = tuple(tuple(f"{word}{k}-{step}" for step in route[1:]) for k in range(len(scores)))
    named = {} if ranks is None else {"summed": np.array(ranks)}
    return RouteResult(tuple(route), np.array(scores, dtype=float), answers, named)


def evaluation(*runs) -> Evaluation:
    items = tuple(f"item {k}" for k in range(len(runs[0][0].scores)))
    return Evaluation("bli", "accuracy", items, tuple((f"gold {i}", "else") for i in items), runs)


def gains(*rows: tuple[str, str, float, float]) -> pd.DataFrame:
    """Bridge, target, gain and corrected p-value of routes from Indonesian."""
    columns = ["bridge", "target", "gain", "p_holm"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(source=IND, direct=10.0, value=10.0 + frame["gain"])


def test_gains_are_in_points_against_the_pairs_own_direct_route():
    results = {
        (IND, SWH): evaluation(
            (result((IND, SWH), [1, 0, 0, 0], [1, 2, 4, 4]),),
            (result((IND, ENG, SWH), [1, 1, 1, 0], [1, 1, 1, 2]),),
        ),
        (IND, "heb_Hebr"): evaluation(
            (result((IND, "heb_Hebr"), [1, 1, 0, 0], [1, 1, 1, 1]),),
            (result((IND, ENG, "heb_Hebr"), [1, 0, 0, 0], [2, 2, 2, 2]),),
        ),
    }
    table = study_table(results)
    found = bridged(table, "accuracy").set_index("target")
    assert found.loc[SWH, ["direct", "value", "gain"]].tolist() == [25, 75, 50]
    assert found.loc["heb_Hebr", ["direct", "value", "gain"]].tolist() == [50, 25, -25]
    ranks = bridged(table, "mrr").set_index("target")
    assert ranks.loc[SWH, "gain"] == pytest.approx(100 * (3.5 - 2) / 4)
    assert ranks.loc["heb_Hebr", "gain"] == pytest.approx(-50)
    assert bridged(table, "chrF").empty


def test_words_when_nothing_is_sure():
    told = in_words(gains((ENG, SWH, -1, 1.0), (DEU, SWH, 0, 1.0)), "accuracy", REGISTER)
    assert told == (
        "2 bridged routes from Indonesian to Swahili: against the direct route, bridging lowers "
        "the accuracy by 0.5 points on average, from 10.0 to 9.5. It is higher on 0 of the routes, "
        "lower on 1 and the same on 1. After Holm's correction over 2 tests no difference is "
        "significant at 0.05: each of them may be chance. Best as a bridge: German (0.0 "
        "points); worst: English (−1.0)."
    )


def test_words_when_bridging_helps():
    rows = [(ENG, SWH, 9, 0.001), (DEU, SWH, 4, 0.2), (ENG, "heb_Hebr", 8, 0.04)]
    told = in_words(gains(*rows), "mrr", REGISTER)
    assert "3 bridged routes over 2 pairs of languages" in told
    assert "raises the mean reciprocal rank by 7.0 points on average, from 10.0 to 17.0" in told
    assert "over 3 tests 2 gains are significant at 0.05; any other difference" in told
    assert "Best as a bridge on average: English (+8.5 points); worst: German (+4.0)." in told
    assert "would gain +8.5 points on average" in told


def test_words_when_bridging_harms_and_helps():
    rows = [(ENG, SWH, 9, 0.01), (DEU, SWH, -8, 0.01), (ENG, "heb_Hebr", -1, 0.03)]
    told = in_words(gains(*rows), "accuracy", REGISTER)
    assert "leaves the accuracy as it is on average, 10.0." in told
    assert "1 gain and 2 losses are significant" in told
    assert "may be chance" not in told


def test_words_of_a_single_route_and_of_none():
    told = in_words(gains((ENG, SWH, 2, 0.01)), "accuracy", REGISTER)
    assert "After Holm's correction over 1 test 1 gain is significant at 0.05." in told
    assert "Best" not in told
    assert in_words(gains(), "mrr", REGISTER).startswith("No bridged route")


def test_items_fixed_and_broken_with_their_answers():
    direct = [result((IND, SWH), [1, 0, 0], word=name) for name in "ab"]
    through = [result((IND, ENG, SWH), [0, 1, 0], word=name) for name in "ac"]
    whole = evaluation(tuple(direct), tuple(through))
    rows = changed_items(whole, 1).to_dict("records")
    assert [(row["change"], row["item"]) for row in rows] == [
        ("fixed", "item 1"),
        ("broken", "item 0"),
    ]
    assert rows[0]["accepted"] == "gold item 1; else"
    assert rows[0]["direct"] == f"a1-{SWH}; b1-{SWH}"
    assert rows[0]["bridge"] == f"a1-{ENG}; c1-{ENG}"
    assert rows[0]["bridged"] == f"a1-{SWH}; c1-{SWH}"
    assert changed_items(whole, 0).empty


def test_every_answer_is_a_row():
    whole = evaluation((result((IND, SWH), [1, 0], [1, 3]), result((IND, SWH), [0, 0], [2, 2])))
    frame = all_items(whole)
    assert frame["run"].tolist() == [0, 0, 1, 1]
    assert frame["rank summed"].tolist() == [1, 3, 2, 2]
    assert frame["score"].tolist() == [1, 0, 0, 0]


def test_a_study_that_is_partly_there(tmp_path):
    store = Store(tmp_path)
    kept = Evaluations.of_model(store, find_model(None, tmp_path), "float32")
    study = Study(targets=(SWH, "heb_Hebr"), sources=(IND,), bridges=(ENG, DEU), items=5)
    assert progressed(study, kept, REGISTER).stored == 0
    pairs = [(IND, SWH), (IND, "heb_Hebr")]
    direct, english, _ = study.routes(pairs[0], REGISTER)
    (task,) = study.tasks(pairs[0])
    for route in (direct, english):
        kept.keep(task, route, result(route.codes, [1, 0, 0, 0, 0]))
    (other,) = study.tasks(pairs[1])
    bridge_alone = study.routes(pairs[1], REGISTER)[1]
    kept.keep(other, bridge_alone, result(bridge_alone.codes, [0] * 5))
    found = progressed(study, kept, REGISTER)
    assert (found.routes, found.stored) == (6, 3)
    assert list(found.results) == [pairs[0]]
    assert found.results[pairs[0]].routes == (direct.codes, english.codes)
