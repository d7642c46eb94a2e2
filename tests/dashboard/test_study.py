"""The Study page: whole, partly there, not there."""

from pathlib import Path

import numpy as np
import pytest

from bridgex_core.evaluation import RANKINGS, RouteResult
from bridgex_core.languages import register
from bridgex_core.model_sources import find_model
from bridgex_core.store import Store
from bridgex_core.study import BRIDGES, Evaluations, Study

from .driving import Office, Open, calm, words_of

PAGE = "pages/study.py"
PLAN = Study(sources=("ind_Latn",), targets=("swh_Latn", "heb_Hebr"), items=8)
PAIRS = PLAN.pairs


@pytest.fixture(autouse=True)
def plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """A study of two pairs."""
    monkeypatch.setattr("pages.parts.lab_results.STUDY", PLAN)


def keep(root: Path, pair: tuple[str, str], gain: int, routes: int = 7) -> None:
    """Results of a pair in which each bridge gets so many more words right."""
    kept = Evaluations.of_model(Store(root), find_model(None, root), "bfloat16")
    (task,) = PLAN.tasks(pair)
    for number, route in enumerate(PLAN.routes(pair, register())[:routes]):
        scores = np.zeros(8)
        scores[: 1 + gain * bool(number)] = 1
        ranks = {name: np.where(scores > 0, 1, 4) for name in RANKINGS}
        answers = tuple(("x",) * (len(route.languages) - 1) for _ in scores)
        kept.keep(task, route, RouteResult(route.codes, scores, answers, ranks))


def test_a_whole_study(opened: Open, office: Office, root: Path) -> None:
    keep(root, PAIRS[0], 7)
    keep(root, PAIRS[1], 0)
    app = calm(opened(PAGE))
    told = words_of(app)
    assert "12 bridged routes over 2 pairs of languages" in told
    assert "raises the accuracy by 43.8 points on average, from 12.5 to 56.2" in told
    assert "routes are computed" not in told
    assert "python -m bridgex_core study" in {code.value for code in app.code}
    app = calm(app.segmented_control(key="study_measured_by").set_value("Rank").run())
    assert "raises the mean reciprocal rank by 32.8 points" in words_of(app)


def test_a_study_that_is_partly_there(opened: Open, office: Office, root: Path) -> None:
    keep(root, PAIRS[0], 1, routes=3)
    app = calm(opened(PAGE))
    assert "2 bridged routes from Indonesian to Swahili" in words_of(app)
    assert "3 of 14 routes are computed." in words_of(app)
    calm(app.button(key="study_compute").click().run())
    assert office["calls"][-1][2] == ["study", "--model", "gemma-3-270m"]


def test_no_study_of_this_model(opened: Open, office: Office) -> None:
    app = calm(opened(PAGE))
    assert "Nothing of the study is computed for Gemma 3 270M yet." in words_of(app)
    assert "0 of 14 routes are computed." in words_of(app)
    assert not app.get("plotly_chart")


def test_the_heatmap_has_the_studys_rows_and_columns(
    opened: Open, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bridgex_core import figures

    seen = []
    real = figures.gains_heatmap
    monkeypatch.setattr(figures, "gains_heatmap", lambda *args: (seen.append(args), real(*args))[1])
    keep(root, PAIRS[0], 1)
    calm(opened(PAGE))
    _, measure, pairs, bridges, _ = seen[-1]
    assert (measure, pairs, bridges) == ("accuracy", PAIRS, BRIDGES)
