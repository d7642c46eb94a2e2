"""The Lab: what is asked, what streams in, what is kept, and what is measured."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.runtime.scriptrunner import StopException
from streamlit.testing.v1 import AppTest

from bridgex_core.bli import Bli
from bridgex_core.chain_files import to_json
from bridgex_core.decoding import Decoding, Generated
from bridgex_core.errors import InputError
from bridgex_core.evaluation import RANKINGS, RouteResult
from bridgex_core.languages import register
from bridgex_core.model_sources import find_model
from bridgex_core.store import Store
from bridgex_core.study import Evaluations
from bridgex_core.xicl import Route
from tests.dictionary_backend import DictionaryBackend, Scripted

from .driving import Office, Open, alive, calm, job, link, words_of

PAGE = "pages/lab.py"
EVIL = "<img src=x onerror=alert(1)> **mbwa** [x](http://y)"
ANSWERS = {
    ("perro", "Kiswahili"): EVIL,
    ("perro", "English"): "dog",
    ("dog", "Kiswahili"): "mbwa",
    ("perro", "Deutsch"): "Katze",
    ("Katze", "Kiswahili"): "paka",
}
ASKED = {"source": "spa_Latn", "target": "swh_Latn", "text": "perro", "shots": "0"}

Lab = Callable[..., AppTest]


@pytest.fixture
def backend() -> DictionaryBackend:
    return DictionaryBackend(ANSWERS)


@pytest.fixture
def lab(
    opened: Open, backend: DictionaryBackend, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., AppTest]:
    monkeypatch.setattr("pages.parts.loaded.open_backend", lambda *args: backend)

    def open_lab(**change: str) -> AppTest:
        given = {**ASKED, "bridges": "eng_Latn,deu_Latn", **change}
        return calm(opened(PAGE, **{name: value for name, value in given.items() if value}))

    return open_lab


def run(app: AppTest) -> AppTest:
    return alive(app.button(key="lab_run").click().run())


def shown(app: AppTest) -> str:
    """Everything that stands on the page, as HTML or text."""
    return "\n".join([words_of(app), *(one.proto.body for one in app.get("html"))])


def outcomes(app: AppTest) -> list[dict[str, Any]]:
    """The history, as its file tells it."""
    told: list[dict[str, Any]] = json.loads(to_json(app.session_state["lab_history"].outcomes))
    return told


def test_a_word_goes_directly_and_through_every_bridge(lab: Lab) -> None:
    app = run(lab())
    calm(app)
    (outcome,) = outcomes(app)
    assert [chain["route"][1:-1] for chain in outcome["chains"]] == [[], ["eng_Latn"], ["deu_Latn"]]
    assert [chain["answer"] for chain in outcome["chains"]] == [EVIL, "mbwa", "paka"]
    told = shown(app)
    assert "**Right:** through English. **Wrong:** direct and through German." in told
    assert "The chain broke at step 1, into German, and it went on from there." in told
    assert "probability 47 %" in told
    assert "Rank of the right word of" in told
    prompts = [code.value for code in app.code]
    assert 'Español:"perro"→English:"dog"→Kiswahili:"' in prompts


def test_what_a_model_writes_is_never_markup(lab: Lab) -> None:
    app = run(lab())
    bodies = "\n".join(one.proto.body for one in app.get("html"))
    assert "&lt;img src=x onerror=alert(1)&gt; **mbwa** [x](http://y)" in bodies
    assert "<img" not in bodies
    assert not any(EVIL in part.value for part in (*app.markdown, *app.caption))


def test_tokens_stream_in(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from pages.parts import lab_cards

    seen = []
    real = lab_cards.growing
    monkeypatch.setattr(
        lab_cards, "growing", lambda place, chain: (seen.append(chain.answer), real(place, chain))
    )
    run(lab(bridges="eng_Latn"))
    assert seen[-4:] == ["m", "mb", "mbw", "mbwa"]


def test_an_empty_word_is_told_and_the_history_kept(lab: Lab) -> None:
    app = run(lab())
    calm(app.text_input(key="text_widget").set_value(" ").run())
    app = run(app)
    assert "type a word, or take one from the lexicon" in words_of(app)
    assert len(outcomes(app)) == 1


def test_a_template_without_its_placeholder_is_told(lab: Lab) -> None:
    app = run(lab())
    alive(app.text_input(key="lab_link_widget").set_value("{language}:").run())
    assert "has to hold {text} exactly once" in words_of(app)
    app = run(app)
    assert len(outcomes(app)) == 1
    calm(app.button(key="lab_paper_template").click().run())


def test_source_and_target_alike_are_told(lab: Lab) -> None:
    app = run(lab(target="spa_Latn", bridges=""))
    assert "Source and target are both Spanish: choose two languages." in words_of(app)
    assert not app.session_state["lab_history"].outcomes


def test_a_bridge_that_is_an_end_is_left_out(lab: Lab) -> None:
    app = run(lab(source="eng_Latn", text="dog", bridges=""))
    (outcome,) = outcomes(app)
    assert "eng_Latn" not in outcome["bridges"]
    assert len(outcome["bridges"]) == 5


def test_a_word_of_the_lexicon_and_demonstrations(lab: Lab) -> None:
    app = lab(text="", bridges="eng_Latn", shots="2")
    words = app.selectbox(key="lab_taken")
    app = calm(words.select_index(0).run())
    app = run(app)
    (outcome,) = outcomes(app)
    word = Bli("spa_Latn", "swh_Latn").words[0].word
    assert (outcome["text"], link(app)["text"]) == (word, word)
    prompt = outcome["chains"][0]["steps"][0]["prompt"]
    assert prompt.count("\n") == 2
    assert prompt.count(f'"{word}"') == 1


def test_the_history_brings_everything_back(lab: Lab) -> None:
    app = run(lab())
    calm(app.number_input(key="shots_widget").set_value(1).run())
    calm(app.text_input(key="lab_arrow_widget").set_value(" = ").run())
    calm(app.text_input(key="text_widget").set_value("gato").run())
    app = run(app)
    assert [one["text"] for one in outcomes(app)] == ["perro", "gato"]
    app = calm(app.button(key="lab_back_0").click().run())
    assert link(app)["text"] == "perro"
    assert app.number_input(key="shots_widget").value == 0
    assert app.text_input(key="lab_arrow_widget").value == "→"
    assert "**Right:** through English." in shown(app)
    again = run(app)
    assert outcomes(again)[2]["chains"] == outcomes(again)[0]["chains"]


class Failing(DictionaryBackend):
    """Breaks off while it writes Swahili behind English."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(ANSWERS)
        self.error = error

    def stream(self, prompt: str, decoding: Decoding) -> Iterator[Generated]:
        for number, text in enumerate(super().stream(prompt, decoding)):
            if '"dog"' in prompt and number == 2:
                raise self.error
            yield text


@pytest.mark.parametrize("backend", [Failing(InputError("The server went away."))])
def test_what_had_come_of_a_broken_answer_stays(lab: Lab) -> None:
    app = run(lab())
    (outcome,) = outcomes(app)
    direct, half = outcome["chains"]
    assert (direct["finished"], half["finished"]) == (True, False)
    assert half["answer"] == "mb"
    assert "The server went away." in words_of(app)
    assert "It was stopped here." in words_of(app)


@pytest.mark.parametrize("backend", [Failing(StopException())])
def test_what_was_stopped_stays(lab: Lab) -> None:
    app = run(lab())
    app = alive(app.run())
    assert outcomes(app)[0]["note"] == "It was stopped before its end."
    assert "mb" in [step["output"] for step in outcomes(app)[0]["chains"][1]["steps"]]


@pytest.mark.parametrize("backend", [DictionaryBackend(ANSWERS, no_scores="It tells no scores.")])
def test_missing_ranks_have_their_reason(lab: Lab) -> None:
    told = shown(run(lab()))
    assert "It tells no scores." in told
    assert "Rank of the right word" not in told


def test_a_word_without_gold_says_so(lab: Lab) -> None:
    told = shown(run(lab(text="zzz")))
    assert "nothing says right or wrong" in told
    assert ":red[" not in told


def test_the_model_has_to_be_installed(opened: Open) -> None:
    app = run(calm(opened(PAGE, **ASKED)))
    assert "is not installed" in words_of(app)
    assert not app.session_state["lab_history"].outcomes


def test_a_server_with_its_key(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {}

    def connect(url: str, model: str | None, *, api_key: str | None) -> DictionaryBackend:
        given.update(url=url, model=model, api_key=api_key)
        if "away" in url:
            raise InputError("No server answers at http://away: start it, or check the address.")
        found = DictionaryBackend(ANSWERS, title="m at host", no_scores="It tells no scores.")
        found.no_probabilities = None  # type: ignore[attr-defined]
        return found

    monkeypatch.setattr("pages.parts.lab_backend.connect", connect)
    app = lab()
    calm(app.segmented_control(key="lab_where_widget").set_value("server").run())
    assert "No server is connected" in words_of(run(app))
    app.text_input(key="lab_url").set_value("http://away")
    app.text_input(key="lab_key").set_value("sk-secret")
    submit = next(button for button in app.button if button.label == "Connect")
    assert "No server answers" in words_of(alive(submit.click().run()))
    app.text_input(key="lab_url").set_value("http://host:8000")
    submit = next(button for button in app.button if button.label == "Connect")
    app = calm(submit.click().run())
    assert given == {"url": "http://host:8000", "model": None, "api_key": "sk-secret"}
    app = run(app)
    assert outcomes(app)[-1]["backend"] == "m at host"
    assert "sk-secret" not in f"{link(app)} {shown(app)} {outcomes(app)}"


@pytest.mark.parametrize("backend", [Scripted({}, {"": "B"})])
def test_a_task_with_answers_to_choose(lab: Lab) -> None:
    app = lab(task="reading", text="", bridges="eng_Latn")
    app = run(app)
    (outcome,) = outcomes(app)
    assert outcome["task"] == "reading"
    assert [len(chain["steps"]) for chain in outcome["chains"]] == [1, 2]
    right = outcome["chains"][0]["steps"][0]["right"]
    assert right == (outcome["accepted"] == [outcome["chains"][0]["answer"]])


@pytest.mark.parametrize("backend", [Scripted({"English:": "dog", "Kiswahili:": "mbwa"})])
def test_a_chain_of_ones_own(lab: Lab) -> None:
    app = lab(task="chain", target="")
    calm(app.button(key="lab_add_step").click().run())
    calm(app.button(key="lab_remove_step").click().run())
    app = run(app)
    (outcome,) = outcomes(app)
    assert [step["output"] for step in outcome["chains"][0]["steps"]] == ["dog", "mbwa"]
    assert outcome["chains"][0]["steps"][1]["prompt"] == "dog\nKiswahili:"


def test_tasks_without_bundled_data_say_so(lab: Lab) -> None:
    app = lab(task="inference", text="")
    assert "No data for inference ships" in words_of(run(app))


# ---- Measuring ---------------------------------------------------------------------------------

PAIR = ("spa_Latn", "swh_Latn")


def measure(app: AppTest) -> AppTest:
    return calm(app.segmented_control(key="lab_view_widget").set_value("measure").run())


def keep(root: Path, *bridges: str, right: int, items: int = 8) -> None:
    """A result in which the first words are right."""
    store = Store(root)
    kept = Evaluations.of_model(store, find_model(None, root), "float32")
    route = Route(tuple(register()[code] for code in (PAIR[0], *bridges, PAIR[1])))
    scores = [1.0] * right + [0.0] * (items - right)
    answers = tuple(("<b>x</b>",) * (len(bridges) + 1) for _ in scores)
    ranks = {name: [1] * right + [2] * (items - right) for name in RANKINGS}
    import numpy as np

    arrays = {name: np.array(values) for name, values in ranks.items()}
    task = Bli(*PAIR, items=items, shots=0)
    kept.keep(task, route, RouteResult(route.codes, np.array(scores), answers, arrays))


def test_an_evaluation_is_a_job(lab: Lab, office: Office) -> None:
    app = measure(lab(items="8"))
    assert "Not measured yet:** direct, via English and via German." in words_of(app)
    app = calm(app.button(key="lab_measure").click().run())
    name, title, argv = office["calls"][-1]
    assert (name, title) == ("start", "Gemma 3 270M: word or sentence, Spanish → Swahili")
    assert argv == [
        *("evaluate", "--model", "gemma-3-270m", "--task", "bli"),
        *("--source", "spa_Latn", "--target", "swh_Latn", "--bridges", "eng_Latn,deu_Latn"),
        *("--items", "8", "--shots", "0", "--seed", "0"),
    ]
    office["known"] = [job("cancelled", argv=tuple(argv))]
    assert "was cancelled at 40%" in words_of(calm(app.run()))
    office["known"] = [job(argv=tuple(argv))]
    assert app.run().get("progress")


def test_what_is_stored_is_shown(lab: Lab, office: Office, root: Path) -> None:
    keep(root, right=2)
    keep(root, "eng_Latn", right=6)
    app = measure(lab(items="8"))
    told = words_of(app)
    assert "Not measured yet:** via German." in told
    assert "1 bridged route from Spanish to Swahili" in told
    assert "raises the accuracy by 50.0 points on average, from 25.0 to 75.0" in told
    assert "After Holm's correction over 1 test no difference is significant at 0.05" in told
    table, changed = (one.value for one in app.dataframe)
    assert table["Route"].tolist() == ["direct", "via English"]
    assert table["Gain"].tolist()[1] == 50
    assert changed["Change"].tolist() == ["fixed"] * 4
    app = calm(app.segmented_control(key="lab_measured_by").set_value("Rank").run())
    assert "mean reciprocal rank by 25.0 points" in words_of(app)
    assert "McNemar" in told
    assert "paired bootstrap, corrected" in words_of(app)


def test_a_chain_of_ones_own_cannot_be_measured(lab: Lab) -> None:
    app = measure(lab(task="chain", target=""))
    assert "no right answers to measure by" in words_of(app)
