"""The Bridges page: its rankings, why, the rankers, and what is missing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from bridgex_core import figures
from bridgex_core.activations import ActivationStats
from bridgex_core.bli import Bli
from bridgex_core.bridge_sets import BridgeSettings
from bridgex_core.bridges import RANKERS, rank, verdict
from bridgex_core.concepts import ConceptProbe, ConceptSimilarity, keep_similarity
from bridgex_core.evaluation import RouteResult
from bridgex_core.evidence import Candidates, keep_scores, recommend
from bridgex_core.languages import register
from bridgex_core.probe import ProbeActivations
from bridgex_core.probing import PROBES, ProbeTask, probe_key
from bridgex_core.store import Store
from bridgex_core.study import BRIDGES, Evaluations
from bridgex_core.xicl import Route

from .driving import PROJECT, Drawn, Office, alive, calm, collection, job, link, save, words_of

PAGE = "pages/bridges.py"
LAYERS, WIDTH, BLOCKS = 18, 300, 4
PAIR = ("ind_Latn", "swh_Latn")
STORED = (*PAIR, *BRIDGES, "heb_Hebr", "jpn_Jpan")
NAMES = {code: register()[code].name for code in register().codes}

Ask = Callable[..., AppTest]
few = pytest.mark.usefixtures("few_rankers")


def statistics(number: int) -> ActivationStats:
    """A set of 54 neurons: 30 in the band's layers that are all languages', and 24 of its own."""
    rng = np.random.default_rng(100 + number)
    p = rng.random((LAYERS, WIDTH)) * 0.3
    p[6:12, :5] = 0.95
    own = 10 + 4 * number
    p[6:12, own : own + 4] = 0.9
    tokens = np.full(BLOCKS, 200)
    counts = np.round(p * 200).astype(np.int64) * np.ones((BLOCKS, 1, 1), np.int64)
    return ActivationStats(counts, counts * p, tokens)


STATS = {code: statistics(number) for number, code in enumerate(STORED)}


def candidates(root: Path, bridges: tuple[str, ...] = BRIDGES, **task: Any) -> Candidates:
    store = Store(root)
    return Candidates(store, collection(store), ProbeTask(*PAIR, **task), bridges)


def put_probe(root: Path, known: int = 60, rule: str = "greedy") -> None:
    """A probe in which English's own neurons move with those that all share, the others' do not."""
    asked = candidates(root, known=rule)
    words = len(asked.task.pairs)
    rng = np.random.default_rng(1)
    values = rng.normal(size=(LAYERS, WIDTH, words))
    latent = rng.normal(size=words)
    english = 10 + 4 * STORED.index("eng_Latn")
    for neurons in (slice(0, 5), slice(english, english + 4)):
        values[6:12, neurons] = latent + 0.3 * values[6:12, neurons]
    activations = ProbeActivations(values.astype(np.float32), rng.integers(5, 9, words))
    which = np.zeros(words, np.uint8)
    which[:known] = 1
    asked.store.save(
        PROBES,
        probe_key(asked.task, asked.identity),
        {**activations.tensors(), "known": which},
        {"answers": ["jibu"] * words},
    )


def put_competence(root: Path, bridges: tuple[str, ...] = BRIDGES) -> None:
    asked = candidates(root, bridges)
    for number, (task, route) in enumerate(asked.steps()):
        words = len(task.words)
        ranks = np.where(np.arange(words) < 5 + 2 * number, 1, 3)
        keep(asked, task, route, ranks)


def keep(asked: Candidates, task: Bli, route: Route, ranks: np.ndarray) -> None:
    answers = tuple(("jibu",) * (len(route.codes) - 1) for _ in ranks)
    result = RouteResult(route.codes, (ranks == 1).astype(float), answers, {"summed": ranks})
    evaluations = Evaluations.of_model(asked.store, asked.statistics.source, "float32")
    evaluations.keep(task, route, result)


@pytest.fixture(scope="module")
def filled_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("bridges"))
    for code, stats in STATS.items():
        save(store, code, stats)
    put_probe(store.root)
    return store.root


@pytest.fixture
def few_rankers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compared are only rankers that take no time."""
    few = {name: RANKERS[name] for name in ("hsic", "overlap", "uriel", "random")}
    monkeypatch.setattr("pages.parts.bridge_results.RANKERS", few)


@pytest.fixture
def ask(root: Path) -> Ask:
    def open_page(**asked: str) -> AppTest:
        app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=60)
        for name, value in asked.items():
            app.query_params[name] = value
        return app.switch_page(PAGE).run()

    return open_page


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """Every call's arguments of the figures, the last ones last."""
    calls: dict[str, Any] = {}

    def spied(name: str) -> Callable[..., Any]:
        real = getattr(figures, name)

        def call(*args: Any, **options: Any) -> Any:
            calls.setdefault(name, []).append((*args, options))
            return real(*args, **options)

        return call

    for name in (
        "bridge_ranking", "bridge_layers", "bridge_graph", "bridge_places", "ranker_agreement",
    ):  # fmt: skip
        monkeypatch.setattr(figures, name, spied(name))
    return calls


def hsic(root: Path, **settings: Any) -> Any:
    evidence = candidates(root).gather(("hsic",), settings=BridgeSettings(**settings))
    return rank(evidence, "hsic")


# ---- The ranking -------------------------------------------------------------------------------


@few
def test_the_page_opens_with_a_ranked_pair(ask: Ask, drawn: Drawn, root: Path) -> None:
    app = calm(ask())
    assert app.subheader[0].value.endswith("?")
    told = words_of(app)
    expected = hsic(root)
    assert verdict(expected, register()) in told
    assert verdict(expected, register()).startswith("English is ahead")
    frame, languages, options = drawn["bridge_ranking"][-1]
    np.testing.assert_allclose(frame["score"], np.sort(expected.scores)[::-1])
    assert frame["bridge"][0] == "eng_Latn"
    assert options["level"] == expected.as_good_as_first
    assert set(languages) == set(BRIDGES)
    assert "Measured on the 60 of 300 words that the model translates right." in told
    assert "layers 6 to 11 of 0 to 17" in told
    assert "Gemma 3 270M in float32" in told
    assert "95 % intervals" in told
    assert "Nothing has been measured" in told
    assert not app.warning
    assert not app.query_params
    assert {"Ranking (CSV)", "Figure (HTML)", "Layers (CSV)"} <= {
        one.label for one in app.get("download_button")
    }
    table = app.dataframe[0].value
    assert list(table["bridge"]) == list(frame["bridge"])
    assert "Indonesian → English → Swahili" in told


@few
def test_too_few_known_words_are_told_before_the_ranking(ask: Ask, root: Path) -> None:
    put_probe(root, known=7, rule="ranked")
    app = calm(ask(known="ranked"))
    assert "fewer than the 50" in app.warning[0].value
    order = [element.value for element in app.main if element.type in ("markdown", "warning")]
    ranking = next(i for i, value in enumerate(order) if value.startswith("####"))
    assert app.warning[0].value in order[:ranking]


@few
def test_another_ranker_with_the_papers_beside_it(ask: Ask, drawn: Drawn, root: Path) -> None:
    app = calm(ask(ranker="hsic-calibrated"))
    evidence = candidates(root).gather(("hsic",))
    chosen, paper = (rank(evidence, name) for name in ("hsic-calibrated", "hsic"))
    frames = [call[0] for call in drawn["bridge_ranking"]]
    np.testing.assert_allclose(frames[0]["score"], np.sort(chosen.scores)[::-1])
    np.testing.assert_allclose(frames[1]["score"], np.sort(paper.scores)[::-1])
    assert drawn["bridge_ranking"][0][-1]["chance"] == 0.0
    told = words_of(app)
    assert verdict(chosen, register()) in told
    assert verdict(paper, register()) in told
    assert "prompt length taken out" in told
    out = [NAMES[c] for c, p in zip(BRIDGES, chosen.p_values, strict=True) if p <= 0.05]
    assert out == ["English"]
    assert "English stands out from random neurons" in told
    null = drawn["bridge_layers"][-1][-1]["null"]
    np.testing.assert_allclose(null[1], chosen.layer_null.mean[0])
    assert link(app) == {"ranker": "hsic-calibrated"}


@few
def test_band_pooling_and_length_change_the_ranking(ask: Ask, drawn: Drawn, root: Path) -> None:
    app = ask()
    app.slider(key="band_widget").set_range(8, 11).run()
    app.segmented_control(key="pooled_widget").set_value("no").run()
    calm(app.toggle(key="length_widget").set_value(True).run())
    expected = hsic(root, band=(8 / 18, 12 / 18), pooled=False, regress_length=True)
    scores = drawn["bridge_ranking"][-1][0]["score"]
    np.testing.assert_allclose(scores, np.sort(expected.scores)[::-1])
    assert drawn["bridge_layers"][-1][-1]["band"] == range(8, 12)
    assert "layers 8 to 11" in words_of(app)
    assert link(app) == {"band": "0.444:0.666", "pooled": "no", "length": "yes"}


@few
def test_a_link_restores_the_view(ask: Ask, drawn: Drawn, root: Path) -> None:
    wanted = {
        "source": "swh_Latn",
        "target": "ind_Latn",
        "bridges": "eng_Latn,jpn_Jpan",
        "ranker": "overlap",
        "band": "0.333:0.5",
    }
    app = calm(ask(**wanted))
    assert app.selectbox(key="target_widget").value == "ind_Latn"
    assert app.multiselect(key="bridges_widget").value == ["eng_Latn", "jpn_Jpan"]
    frame = drawn["bridge_ranking"][0][0]
    assert set(frame["bridge"]) == {"eng_Latn", "jpn_Jpan"}
    assert "Shared neurons" in words_of(app)
    assert "It has no interval" in words_of(app)
    assert link(app) == wanted


# ---- What is asked -----------------------------------------------------------------------------


@few
def test_languages_are_found_by_any_name_low_resource_first(ask: Ask) -> None:
    labels = ask().selectbox(key="target_widget").options
    assert "Swahili · Kiswahili (swh_Latn)" in labels
    assert any("\u2067" in label and "heb_Hebr" in label for label in labels)
    known = register()
    low = [known[label[-9:-1]].is_low_resource for label in labels]
    assert low == sorted(low, reverse=True)


@few
def test_candidates_with_one_click(ask: Ask, drawn: Drawn) -> None:
    app = ask(ranker="overlap")
    calm(app.button(key="supplied_bridges").click().run())
    chosen = app.multiselect(key="bridges_widget").value
    assert {register()[code].resource_class for code in chosen} == {4, 5}
    assert len(chosen) > 15
    assert "Not ranked yet, since their neurons are not computed" in words_of(app)
    assert set(drawn["bridge_ranking"][-1][0]["bridge"]) <= {*BRIDGES, "jpn_Jpan"}
    calm(app.button(key="paper_bridges").click().run())
    assert tuple(app.multiselect(key="bridges_widget").value) == BRIDGES
    assert "bridges" not in app.query_params


@few
def test_source_and_target_are_no_candidates(ask: Ask, drawn: Drawn) -> None:
    app = calm(ask(source="eng_Latn", ranker="overlap"))
    assert set(drawn["bridge_ranking"][0][0]["bridge"]) == set(BRIDGES) - {"eng_Latn"}
    assert app.button(key="paper_bridges").label == "The paper's five"
    app = calm(ask(bridges="swh_Latn,deu_Latn", ranker="overlap"))
    assert "Swahili is an end of the path, so not a candidate." in words_of(app)


@few
@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"source": "swh_Latn"}, "Source and target are both swh_Latn: choose two languages."),
        ({"bridges": "swh_Latn"}, "There is no candidate bridge: choose at least one."),
    ],
)
def test_what_cannot_be_asked_gets_a_sentence(
    ask: Ask, asked: dict[str, str], sentence: str
) -> None:
    app = alive(ask(**asked))
    assert [error.value.replace("\\", "") for error in app.error] == [sentence]
    assert link(app) == asked


def test_a_language_without_words_is_ranked_by_what_needs_none(
    ask: Ask, root: Path, drawn: Drawn
) -> None:
    save(Store(root), "grn_Latn", statistics(20))
    app = calm(ask(target="grn_Latn"))
    told = words_of(app)
    assert "has no words in Guarani" in told
    assert "cannot rank this pair" in told
    assert set(drawn["bridge_ranking"][0][0]["bridge"]) == set(BRIDGES)
    assert "Not shown: HSIC (the paper)" in told


@few
def test_a_language_without_text_gets_a_sentence(ask: Ask, folder_corpus: Path) -> None:
    app = alive(ask(corpus=str(folder_corpus)))
    assert "has no text in Indonesian" in words_of(app)
    app = alive(ask(corpus=str(folder_corpus), source="fin_Latn"))
    told = words_of(app)
    assert "Left out, since the corpus has no text in them: French, Italian and Portuguese." in told
    assert "Nothing can be ranked yet: press Compute." in told


# ---- Why ---------------------------------------------------------------------------------------


def opened_tab(app: AppTest, tab: str) -> AppTest:
    app.session_state["why"] = tab
    return calm(app.run())


@few
def test_layers_of_the_candidate_looked_at(ask: Ask, drawn: Drawn, root: Path) -> None:
    app = ask()
    scores, _, options = drawn["bridge_layers"][-1]
    expected = hsic(root)
    for code, values in scores.items():
        at = expected.bridges.index(code)
        np.testing.assert_allclose(values, expected.layer_scores[at])
    assert options == {"band": range(6, 12), "focus": "eng_Latn", "null": None}
    app.selectbox(key="bridge_in_focus").select("ita_Latn").run()
    assert drawn["bridge_layers"][-1][-1]["focus"] == "ita_Latn"
    toggle = next(one for one in app.toggle if one.label == "Against random neurons")
    calm(toggle.set_value(True).run())
    assert drawn["bridge_layers"][-1][-1]["null"] is not None


@few
def test_the_graph_is_computed_on_request_and_then_shown(
    ask: Ask, drawn: Drawn, root: Path, office: Office
) -> None:
    app = opened_tab(ask(), "Graph")
    assert "bridge_graph" not in drawn
    calm(app.button(key="compute_similarity").click().run())
    name, title, argv = office["calls"][-1]
    assert (name, argv[0]) == ("start", "similarity")
    options = dict(zip(argv[1::2], argv[2::2], strict=True))
    assert options["--languages"] == ",".join((*PAIR, *BRIDGES))
    assert options["--layers"] == "0.31:0.66"
    assert "8 languages" in title
    store = Store(root)
    whose = ConceptProbe(collection(store).source)
    values = np.random.default_rng(0).uniform(0.2, 0.8, (len(STORED), len(STORED)))
    values = (values + values.T) / 2
    count = np.full(values.shape, 50)
    keep_similarity(
        store, whose, ConceptSimilarity(STORED, values, count, count, range(6, 12), "layers")
    )
    st.cache_data.clear()  # as the end of a job does
    app = opened_tab(ask(), "Graph")
    graph, _, _, path = drawn["bridge_graph"][-1][:4]
    assert path == ("ind_Latn", "eng_Latn", "swh_Latn")
    assert set(graph) == {*PAIR, *BRIDGES}
    places = [STORED.index(code) for code in path]
    told = words_of(app)
    assert (
        f"{values[places[0], places[1]]:.2f} and {values[places[1], places[2]]:.2f}, "
        f"directly {values[0, 1]:.2f}" in told
    )


@few
def test_the_neurons_that_match_best(ask: Ask, root: Path) -> None:
    app = opened_tab(ask(), "Neurons")
    expected = hsic(root).best_pairs["eng_Latn"]
    shown = next(one.value for one in app.dataframe if "bridge_neuron" in one.value)
    np.testing.assert_allclose(shown["hsic"], expected["hsic"])
    assert "share **30** neurons" in words_of(app)


@few
def test_the_words_that_the_model_knew(ask: Ask, root: Path) -> None:
    store = Store(root)
    task = ProbeTask("ind_Latn", "heb_Hebr")
    asked = Candidates(store, collection(store), task, BRIDGES)
    count = len(task.pairs)
    values = np.random.default_rng(0).normal(size=(LAYERS, WIDTH, count)).astype(np.float32)
    activations = ProbeActivations(values, np.full(count, 5))
    known = (np.arange(count) % 3 == 0).astype(np.uint8)
    store.save(
        PROBES,
        probe_key(task, asked.identity),
        {**activations.tensors(), "known": known},
        {"answers": ["תשובה"] * count},
    )
    app = opened_tab(ask(target="heb_Hebr"), "Words")
    table = next(one.value for one in app.dataframe if "gold" in one.value)
    assert len(table) == count
    assert table["answer"][0] == "\u2067תשובה\u2069"
    assert table["word"][0] == task.pairs[0].word
    assert table["known"].sum() == known.sum()
    calm(app.segmented_control(key="probe_words").set_value("Not known").run())
    table = next(one.value for one in app.dataframe if "gold" in one.value)
    assert len(table) == count - known.sum()


# ---- Rankers -----------------------------------------------------------------------------------


def test_rankers_side_by_side_and_the_recommended_one(ask: Ask, drawn: Drawn, root: Path) -> None:
    put_competence(root)
    of = candidates(root)
    keep_scores(of, of.scores())
    known = register()
    for place, bridge in enumerate(BRIDGES):
        ranks = np.full(30, 2 + place)
        task = Bli(*PAIR, items=30)
        keep(
            of,
            task,
            Route.of(*(known[code] for code in PAIR), known[bridge]),
            ranks[: len(task.words)],
        )
    app = calm(ask())
    found = recommend(of, tuple(RANKERS))
    assert found is not None
    told = words_of(app)
    assert found.sentence() in told
    assert "Recommended: " in told
    assert "whose first choices lost least where bridging was measured" in told
    quality = next(one.value for one in app.dataframe if "regret" in one.value)
    np.testing.assert_allclose(quality["regret"], found.quality["regret"])
    places, scores, _, _, options = drawn["bridge_places"][-1]
    assert set(places) == set(RANKERS)
    expected = hsic(root)
    assert places["hsic"].idxmin() == expected.ranking[0]
    assert options["chosen"] == found.ranker
    np.testing.assert_allclose(
        scores["hsic"], expected.scores[[BRIDGES.index(code) for code in scores.index]]
    )
    tau = drawn["ranker_agreement"][-1][0]
    assert tau.loc["hsic", "hsic"] == pytest.approx(1)
    assert np.isnan(tau.loc["random", "hsic"])
    assert "over 1 pair of languages" in told


def test_what_was_never_measured_is_not_recommended(ask: Ask, drawn: Drawn) -> None:
    app = calm(ask())
    told = words_of(app)
    assert "Nothing has been measured for Gemma 3 270M yet" in told
    assert "regret" not in " ".join(str(list(one.value)) for one in app.dataframe)
    assert "hsic" in drawn["bridge_places"][-1][0]
    assert "Not shown, since what they need is not computed or not there: Competence" in told


# ---- What is missing ---------------------------------------------------------------------------


def command(target: str = "swh_Latn", bridges: str = ",".join(BRIDGES)) -> tuple[str, ...]:
    return (
        *("bridges", "--model", "gemma-3-270m", "--corpus", "udhr", "--dtype", "float32"),
        *("--source", "ind_Latn", "--target", target, "--candidates", bridges),
        *("--ranker", "all", "--known", "greedy"),
    )


@few
def test_a_pair_without_a_probe_is_computed_on_request(
    ask: Ask, office: Office, drawn: Drawn
) -> None:
    app = calm(ask(target="heb_Hebr"))
    told = words_of(app)
    assert "the probe from Indonesian to Hebrew" in told
    assert "12 steps" in told
    assert "HSIC (the paper)** cannot rank this pair" in told
    assert drawn["bridge_ranking"]  # by what is there
    calm(app.button(key="compute_bridges").click().run())
    argv = list(command("heb_Hebr"))
    title = "Gemma 3 270M: bridges from Indonesian to Hebrew"
    assert office["calls"] == [("start", title, argv)]
    one = job(argv=tuple(argv), title=title)
    office["known"] = [one]
    calm(app.run())
    assert app.get("progress")[0].proto.value == 40
    assert "compute_bridges" not in {button.key for button in app.button}
    calm(app.button(key=f"cancel_{one.id}").click().run())
    office["known"] = [job("cancelled", argv=tuple(argv), title=title)]
    calm(app.run())
    assert "was cancelled at 40%" in words_of(app)
    calm(app.button(key=f"resume_{one.id}").click().run())
    assert [call[0] for call in office["calls"]] == ["start", "cancel", "resume"]


@few
def test_a_candidate_without_statistics_waits(ask: Ask, office: Office, drawn: Drawn) -> None:
    app = calm(ask(bridges="eng_Latn,fra_Latn,zul_Latn"))
    told = words_of(app)
    assert "Not ranked yet, since their neurons are not computed: Zulu." in told
    assert "the activations of Zulu" in told
    assert set(drawn["bridge_ranking"][-1][0]["bridge"]) == {"eng_Latn", "fra_Latn"}


@few
def test_the_best_bridge_goes_to_the_lab(ask: Ask, root: Path) -> None:
    app = ask()
    app.button(key="to_lab").click().run()
    alive(app)
    best = hsic(root).as_good_as_first
    assert link(app)["bridges"] == ",".join(best)
    assert "source" not in app.query_params
