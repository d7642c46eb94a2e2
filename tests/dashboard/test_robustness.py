"""The Atlas's analysis of perturbed items: what is missing, what is stored, what was done."""

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from bridgex_core import figures
from bridgex_core.evaluation import RANKINGS, RouteResult
from bridgex_core.languages import register
from bridgex_core.model_sources import find_model
from bridgex_core.robustness import Perturbed
from bridgex_core.store import Store
from bridgex_core.study import Evaluations
from bridgex_core.tasks import AnyTask, open_task
from bridgex_core.xicl import Route

from .driving import Office, Open, calm, job, link, words_of

VIEW = {
    "analysis": "robustness", "source": "spa_Latn", "target": "swh_Latn", "bridges": "eng_Latn",
    "items": "8", "shots": "0", "perturb": "typos,case",
}  # fmt: skip
PAIR = ("spa_Latn", "swh_Latn")
N = 8


def page(opened: Open, **change: str) -> AppTest:
    return calm(opened("pages/atlas.py", **{**VIEW, **change}))


def keep(root: Path, task: AnyTask, *bridges: str, right: int) -> None:
    """A result in which the first words are right."""
    store = Store(root)
    kept = Evaluations.of_model(store, find_model(None, root), "float32")
    route = Route(tuple(register()[code] for code in (PAIR[0], *bridges, PAIR[1])))
    found = np.arange(N) < right
    answers = (("x",) * (len(bridges) + 1),) * N
    ranks = {name: np.where(found, 1, 2) for name in RANKINGS}
    kept.keep(task, route, RouteResult(route.codes, found.astype(float), answers, ranks))


@pytest.fixture
def forms() -> Perturbed:
    return Perturbed.of([open_task("bli", *PAIR, items=N, shots=0)], ("typos", "case"))


def test_what_is_missing_is_a_job(opened: Open, office: Office) -> None:
    app = page(opened)
    told = words_of(app)
    missing = "unperturbed (2 routes), typos (2 routes) and case (2 routes)"
    assert f"Not measured yet:** {missing}." in told
    assert "does a bridge protect" in told
    app = calm(app.button(key="robustness_measure").click().run())
    name, title, argv = office["calls"][-1]
    assert name == "start"
    assert title == "Gemma 3 270M: robustness, word or sentence, Spanish → Swahili"
    assert argv == [
        *("evaluate", "--model", "gemma-3-270m", "--task", "bli"),
        *("--source", "spa_Latn", "--target", "swh_Latn", "--bridges", "eng_Latn"),
        *("--items", "8", "--shots", "0", "--seed", "0", "--perturb", "typos,case"),
        *("--dtype", "float32"),
    ]
    office["known"] = [job("cancelled", argv=tuple(argv))]
    assert "was cancelled at 40%" in words_of(calm(app.run()))
    office["known"] = [job(argv=tuple(argv))]
    assert app.run().get("progress")


def test_examples_are_shown_before_anything_is_measured(
    opened: Open, office: Office, forms: Perturbed
) -> None:
    app = page(opened)
    (samples,) = (one.value for one in app.dataframe)
    assert samples["perturbation"].tolist() == ["Typos"] * 3 + ["Case"] * 3
    assert samples["read"].tolist() == forms.samples()["read"].tolist()
    assert (samples["item"][3:].str.upper() == samples["read"][3:]).all()
    app = page(opened, source="heb_Hebr")
    samples = app.dataframe[0].value
    assert samples["item"].str.startswith("\u2067").all()
    assert samples["read"].str.endswith("\u2069").all()
    assert "Case changes none of the 8 words of Hebrew." in words_of(app)


def test_what_is_stored_is_shown(
    opened: Open, office: Office, root: Path, forms: Perturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    real = figures.drop_chart
    monkeypatch.setattr(
        figures, "drop_chart", lambda table, *rest: drawn.append(table) or real(table, *rest)
    )
    for bridges, clean, typos in (((), 8, 0), (("eng_Latn",), 8, 6)):
        keep(root, forms.clean[0], *bridges, right=clean)
        keep(root, forms.tasks["typos"][0], *bridges, right=typos)
    keep(root, forms.tasks["case"][0], right=8)
    app = page(opened)
    told = words_of(app)
    assert "Not measured yet:** case (1 route)." in told
    assert "typos 62.5 (8 items), case 0 (8 items)." in told
    assert "1 can be told from chance at 0.05; the largest is 100.0 with typos, direct." in told
    assert "via English loses 75.0 points less with typos" in told
    assert "Of 8 words only those count that a perturbation changes: typos 8, case 8." in told
    table = app.dataframe[0].value
    assert table["route"].tolist() == ["direct", "via English", "direct"]
    assert table["drop"].tolist() == [100, 25, 0]
    assert drawn[-1]["drop"].tolist() == [1, 0.25, 0]
    assert len(app.get("download_button")) == 2
    app = calm(app.segmented_control(key="robustness_measured_by").set_value("Rank").run())
    assert drawn[-1]["drop"].tolist() == [0.5, 0.125, 0]
    assert "mean reciprocal rank" in words_of(app)


def test_choices_live_in_the_link(opened: Open, office: Office) -> None:
    app = page(opened)
    assert VIEW.items() - link(app).items() == {("target", "swh_Latn")}  # the default
    app = calm(app.multiselect(key="perturb_widget").set_value(["distractors", "case"]).run())
    assert link(app)["perturb"] == "case,distractors"
    app = calm(app.multiselect(key="perturb_widget").set_value([]).run())
    assert "Choose at least one perturbation." in words_of(app)
    assert "There is no perturbation 'nonsense'" in words_of(opened(perturb="nonsense"))


def test_other_tasks(opened: Open, office: Office) -> None:
    app = page(opened, task="reading", items="3")
    assert "As it is" not in words_of(app)
    assert len(app.dataframe[0].value) == 6
    app = calm(app.selectbox(key="task_widget").set_value("inference").run())
    assert "No data for this task ships" in words_of(app)
    app = page(opened, task="chain")
    assert app.selectbox(key="task_widget").value == "bli"


def test_nothing_changes(opened: Open, office: Office) -> None:
    app = page(opened, source="heb_Hebr", perturb="case")
    assert "Case changes none of the 8 words of Hebrew." in words_of(app)
    assert not app.dataframe
    assert "Not measured yet" not in words_of(app)
