"""Every widget of the pages, driven without a browser, on a small synthetic store."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from bridgex_core import typology
from bridgex_core.activations import ActivationStats
from bridgex_core.collection import FLUENCY, STATISTICS, Collection
from bridgex_core.corpora import open_corpus
from bridgex_core.generation import Fluency
from bridgex_core.language_graph import suggested_threshold
from bridgex_core.languages import STUDY_LANGUAGES, register
from bridgex_core.model_sources import find_model
from bridgex_core.neurons import ActivationTable
from bridgex_core.similarity import correlate
from bridgex_core.spectrum import DEFAULT, METRICS, ORDERINGS, PAPER, SpectrumSettings, spectrum
from bridgex_core.store import Store
from bridgex_core.typology import TYPOLOGY_KINDS

PROJECT = Path(__file__).parent.parent
LAYERS, WIDTH, BLOCKS = 18, 40, 6
STORED = (*STUDY_LANGUAGES, "hau_Latn", "yor_Latn")


def synthetic(codes: tuple[str, ...]) -> dict[str, ActivationStats]:
    """Statistics in which languages of a family are alike."""
    shared = np.random.default_rng(7).random((LAYERS, WIDTH))
    found = {}
    for number, code in enumerate(codes):
        family = np.random.default_rng(len(register()[code].family)).random((LAYERS, WIDTH))
        rng = np.random.default_rng(number)
        p = np.clip(0.4 * shared + 0.4 * family + 0.3 * rng.random((LAYERS, WIDTH)) - 0.05, 0, 1)
        tokens = rng.integers(60, 90, BLOCKS)
        counts = rng.binomial(tokens[:, None, None], p)
        found[code] = ActivationStats(counts, counts * p, tokens)
    return found


STATS = synthetic(STORED)


def collection(store: Store, dtype: str = "float32") -> Collection:
    return Collection(find_model(None, store.root), open_corpus("udhr"), dtype)


def save(store: Store, code: str, stats: ActivationStats, dtype: str = "float32") -> None:
    of = collection(store, dtype)
    text = of.corpus.text(code)
    sizes = np.array([len(block.encode()) for block in text.blocks])
    bits = sizes * np.linspace(1.0, 1.4, len(sizes)) * (1 + len(code) % 3)
    for kind, tensors in (
        (STATISTICS, stats.tensors()),
        (FLUENCY, Fluency(bits, sizes).tensors()),
    ):
        store.save(kind, of.key(kind, text), tensors, of.manifest(text, device="cpu"))


@pytest.fixture(scope="session")
def filled_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("filled"))
    for code, stats in STATS.items():
        save(store, code, stats)
    return store.root


@pytest.fixture
def root(filled_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A store of its own for each test, without the results that ship with the product."""
    folder = tmp_path / "store"
    shutil.copytree(filled_store, folder)
    monkeypatch.setenv("BRIDGEX_STORE", str(folder))
    monkeypatch.setattr("dashboard.parts.results.default_store", lambda: Store(folder))
    st.cache_resource.clear()
    st.cache_data.clear()
    yield folder
    st.cache_resource.clear()
    st.cache_data.clear()


Open = Callable[..., AppTest]


@pytest.fixture
def opened(root: Path) -> Open:
    def open_page(page: str | None = None, **link: str) -> AppTest:
        app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=30)
        for name, value in link.items():
            app.query_params[name] = value
        app.run()
        return app.switch_page(page).run() if page else app

    return open_page


def alive(app: AppTest) -> AppTest:
    """The page, which shows no traceback."""
    assert not app.exception, [e.value for e in app.exception]
    return app


def calm(app: AppTest) -> AppTest:
    """The page, which shows no error either."""
    assert not alive(app).error, [e.value for e in app.error]
    return app


def words_of(app: AppTest) -> str:
    """Everything the page says, Markdown's escapes taken out."""
    parts = (
        *app.subheader, *app.header, *app.markdown, *app.caption, *app.info, *app.error,
        *app.warning, *app.success,
    )  # fmt: skip
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", "\n".join(str(part.value) for part in parts))


def link(app: AppTest) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else value[0]
        for name, value in app.query_params.items()
    }


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Any, ...]]:
    """The last arguments of every figure."""
    from bridgex_core import figures

    calls: dict[str, tuple[Any, ...]] = {}

    def spied(name: str) -> Callable[..., Any]:
        real = getattr(figures, name)

        def call(*args: Any, **options: Any) -> Any:
            calls[name] = (*args, options)
            return real(*args, **options)

        return call

    for name in (
        "spectrum_heatmap", "agreement_curve", "fluency_bars", "pair_layers", "graph_figure",
        "map_figure", "typology_scatter",
    ):  # fmt: skip
        monkeypatch.setattr(figures, name, spied(name))
    return calls


def table(codes: tuple[str, ...] = STUDY_LANGUAGES) -> ActivationTable:
    return ActivationTable.of({code: STATS[code] for code in codes})


def expected(codes: tuple[str, ...] = STUDY_LANGUAGES, **change: Any) -> np.ndarray:
    """The matrix that the core gives, in the order of the codes."""
    return spectrum(table(codes), SpectrumSettings(**{**vars(DEFAULT), **change})).values


def shown(drawn: dict[str, tuple[Any, ...]]) -> tuple[tuple[str, ...], np.ndarray]:
    """Languages and values of the heatmap drawn last, the values in the study's order."""
    matrix = drawn["spectrum_heatmap"][0]
    index = [matrix.languages.index(code) for code in STUDY_LANGUAGES if code in matrix.languages]
    return matrix.languages, matrix.values[np.ix_(index, index)]


# ---- The spectrum ------------------------------------------------------------------------------


def test_the_page_opens_with_the_heatmap_of_the_study_languages(
    opened: Open, drawn: dict[str, Any]
) -> None:
    app = calm(opened())
    assert app.subheader[0].value.endswith("?")
    languages, values = shown(drawn)
    assert set(languages) == set(STUDY_LANGUAGES)
    np.testing.assert_allclose(values, expected())
    assert tuple(app.multiselect(key="languages_widget").value) == STUDY_LANGUAGES
    assert not app.query_params
    assert "Gemma Terms of Use" in words_of(app)
    assert "268 M parameters" in words_of(app)
    assert "18 layers" in words_of(app)
    assert app.get("page_link")


def test_the_page_needs_no_torch(root: Path) -> None:
    script = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "app = AppTest.from_file('app.py', default_timeout=60).run()\n"
        "assert not app.exception and app.get('plotly_chart')\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=PROJECT, check=True)


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_redraws(opened: Open, drawn: dict[str, Any], metric: str) -> None:
    app = opened()
    calm(app.selectbox(key="metric_widget").select(metric).run())
    np.testing.assert_allclose(shown(drawn)[1], expected(metric=metric))
    assert link(app).get("metric", DEFAULT.metric) == metric


def test_selection_top_rate_layers_and_ties_redraw(opened: Open, drawn: dict[str, Any]) -> None:
    app = opened()
    app.selectbox(key="selection_widget").select("active").run()
    app.select_slider(key="rate_widget").set_value(0.05).run()
    app.slider(key="layers_widget").set_range(6, 11).run()
    calm(app)
    wanted = expected(selection="active", top_rate=0.05, band=(6 / 18, 12 / 18))
    np.testing.assert_allclose(shown(drawn)[1], wanted)
    assert drawn["spectrum_heatmap"][0].layers == range(6, 12)
    assert link(app) == {"selection": "active", "rate": "0.05", "layers": "0.333:0.666"}
    assert "layers 6 to 11 of 0 to 17" in words_of(app)
    app.toggle(key="ties_widget").set_value(True).run()
    assert link(calm(app))["ties"] == "include"


@pytest.mark.parametrize("order", ORDERINGS)
def test_every_order(opened: Open, drawn: dict[str, Any], order: str) -> None:
    app = opened()
    calm(app.selectbox(key="order_widget").select(order).run())
    languages, _ = shown(drawn)
    names = [register()[code].name for code in languages]
    tree = drawn["spectrum_heatmap"][-1]["tree"]
    assert (tree is not None) == (order == "clustering")
    if order == "alphabet":
        assert names == sorted(names)
    if order == "family":
        families = [register()[code].family for code in languages]
        assert families == sorted(families)


def test_one_click_to_the_papers_settings_and_back(opened: Open, drawn: dict[str, Any]) -> None:
    app = opened()
    settings = app.segmented_control(key="preset_widget")
    assert settings.value == "Default"
    calm(settings.set_value("Paper").run())
    np.testing.assert_allclose(shown(drawn)[1], expected(**vars(PAPER)))
    calm(app.select_slider(key="rate_widget").set_value(0.03).run())
    assert app.segmented_control(key="preset_widget").value is None
    calm(app.segmented_control(key="preset_widget").set_value("Default").run())
    assert drawn["spectrum_heatmap"][0].settings == DEFAULT
    assert not app.query_params


def test_the_panel_of_trust_tells_the_core_numbers(opened: Open, drawn: dict[str, Any]) -> None:
    from bridgex_core.spectrum import rate_agreement, saturation, split_half

    app = calm(opened(metric="jaccard", selection="active", rate="0.02"))
    settings = SpectrumSettings(top_rate=0.02)
    stats = {code: STATS[code] for code in STUDY_LANGUAGES}
    reliability = split_half(stats, settings)
    assert app.metric[0].value == f"{reliability.corrected:.2f}"
    assert f"rho = {reliability.rho:.2f}" in words_of(app)
    saturated = saturation(table(), settings)["saturated"]
    assert f"{saturated.min()} to {saturated.max()} neurons" in words_of(app)
    frame, current = drawn["agreement_curve"][:2]
    assert current == 0.02
    np.testing.assert_allclose(frame["rho"], rate_agreement(table(), settings)["rho"])
    bars = drawn["fluency_bars"]
    assert sorted(bars[1]) == list(bars[1])
    assert {language.code for language in bars[0]} == set(STUDY_LANGUAGES)
    assert "articles" in words_of(app)
    assert "float32" in words_of(app)


def test_two_languages_by_their_boxes(opened: Open, drawn: dict[str, Any]) -> None:
    app = opened()
    app.selectbox(key="pair_0").select("deu_Latn").run()
    assert "pair_layers" not in drawn
    calm(app.selectbox(key="pair_1").select("eng_Latn").run())
    pair, languages = drawn["pair_layers"][:2]
    matrix = spectrum(table(), DEFAULT)
    i, j = (STUDY_LANGUAGES.index(code) for code in ("deu_Latn", "eng_Latn"))
    assert pair.shared.sum() == matrix.shared[i, j]
    assert [one.code for one in languages] == ["deu_Latn", "eng_Latn"]
    numbers = {metric.label: metric.value for metric in app.metric}
    assert numbers["Shared neurons"] == str(matrix.shared[i, j])
    assert numbers["Only German"] == str(matrix.sizes[i] - matrix.shared[i, j])
    assert numbers["Only English"] == str(matrix.sizes[j] - matrix.shared[i, j])
    assert "95 % interval" in words_of(app)
    assert len(app.dataframe[0].value) == matrix.shared[i, j]
    assert link(app) == {"pair": "deu_Latn,eng_Latn"}
    assert drawn["spectrum_heatmap"][-1]["selected"] == ("deu_Latn", "eng_Latn")
    calm(app.selectbox(key="pair_0").select("eng_Latn").run())
    assert not app.query_params


def test_a_pair_goes_with_its_language(opened: Open) -> None:
    app = opened(pair="deu_Latn,eng_Latn")
    assert app.selectbox(key="pair_0").value == "deu_Latn"
    calm(app.multiselect(key="languages_widget").unselect("deu_Latn").run())
    assert "pair" not in app.query_params


# ---- Other views -------------------------------------------------------------------------------


def test_graph_with_its_threshold(opened: Open, drawn: dict[str, Any]) -> None:
    app = opened(metric="jaccard")
    calm(app.segmented_control(key="view_widget").set_value("graph").run())
    values = expected(metric="jaccard")
    slider = app.slider(key="threshold_widget")
    assert slider.value == pytest.approx(suggested_threshold(values))
    graph = drawn["graph_figure"][0]
    pairs = values[np.triu_indices(15, 1)]
    assert graph.number_of_edges() == (pairs >= suggested_threshold(values)).sum()
    highest = float(pairs.max())
    calm(slider.set_value(highest).run())
    assert drawn["graph_figure"][0].number_of_edges() == 1
    assert float(link(app)["threshold"]) == pytest.approx(highest, rel=1e-3)
    calm(app.button(key="suggested").click().run())
    assert "threshold" not in app.query_params
    assert any(button.label == "Graph (GraphML)" for button in app.get("download_button"))


def test_a_threshold_of_another_metric_is_let_go(opened: Open) -> None:
    app = opened(view="graph", metric="jaccard")
    app.slider(key="threshold_widget").set_value(app.slider(key="threshold_widget").max).run()
    calm(app.selectbox(key="metric_widget").select("count").run())
    values = expected(metric="count")
    assert app.slider(key="threshold_widget").value == suggested_threshold(values)


def test_map(opened: Open, drawn: dict[str, Any]) -> None:
    app = opened()
    calm(app.segmented_control(key="view_widget").set_value("map").run())
    coordinates, languages, groups, stress = drawn["map_figure"][:4]
    assert coordinates.shape == (15, 2)
    assert groups == [language.family for language in languages]
    assert f"stress-1 = {stress:.2f}" in words_of(app)
    assert link(app) == {"view": "map"}


@pytest.mark.parametrize("kind", TYPOLOGY_KINDS)
def test_typology(opened: Open, drawn: dict[str, Any], kind: str) -> None:
    app = opened(view="typology")
    calm(app.segmented_control(key="typology_widget").set_value(kind).run())
    found = correlate(expected(), typology.typology_similarity(kind, STUDY_LANGUAGES))
    told = words_of(app)
    assert f"rho = {found.rho:.2f} (95 % interval {found.low:.2f} to {found.high:.2f}" in told
    assert "Mantel test" in told
    assert len(app.dataframe[0].value) == len(TYPOLOGY_KINDS)
    names = drawn["typology_scatter"][2]
    assert len(names) == 105
    assert drawn["typology_scatter"][-1]["kind"] == kind


# ---- Languages ---------------------------------------------------------------------------------


def test_languages_are_found_by_name_autonym_and_code(opened: Open) -> None:
    labels = opened().multiselect(key="languages_widget").options
    assert "Swahili · Kiswahili (swh_Latn)" in labels
    assert "Arabic · \u2067العربية\u2069 (arb_Arab)" in labels or any(
        "\u2067" in label and "arb_Arab" in label for label in labels
    )


def test_fewer_languages_down_to_none(opened: Open, drawn: dict[str, Any]) -> None:
    app = opened()
    box = app.multiselect(key="languages_widget")
    calm(box.set_value(["deu_Latn", "eng_Latn", "swh_Latn"]).run())
    assert set(shown(drawn)[0]) == {"deu_Latn", "eng_Latn", "swh_Latn"}
    assert link(app) == {"languages": "deu_Latn,eng_Latn,swh_Latn"}
    for few in (["deu_Latn"], []):
        calm(app.multiselect(key="languages_widget").set_value(few).run())
        assert "at least two" in words_of(app)
    study = next(button for button in app.button if "study" in button.label)
    calm(study.click().run())
    assert not app.query_params


def test_two_languages_are_too_few_for_distinctive(opened: Open) -> None:
    app = alive(opened(languages="deu_Latn,eng_Latn", selection="distinctive"))
    assert "at least" in app.error[0].value
    calm(app.selectbox(key="selection_widget").select("active").run())


def test_all_computed(opened: Open, drawn: dict[str, Any]) -> None:
    app = opened()
    button = next(button for button in app.button if button.label == "All computed")
    calm(button.click().run())
    assert set(drawn["spectrum_heatmap"][0].languages) == set(STORED)


# ---- Links -------------------------------------------------------------------------------------


def test_a_link_restores_the_view(opened: Open, drawn: dict[str, Any]) -> None:
    wanted = {
        "languages": "deu_Latn,eng_Latn,swh_Latn,fin_Latn",
        "metric": "overlap",
        "selection": "active",
        "rate": "0.03",
        "ties": "include",
        "layers": "0.333:0.666",
        "order": "family",
        "pair": "swh_Latn,eng_Latn",
    }
    app = calm(opened(**wanted))
    matrix = drawn["spectrum_heatmap"][0]
    assert matrix.settings == SpectrumSettings("overlap", "active", 0.03, "include", (0.333, 0.666))
    assert matrix.layers == range(6, 12)
    assert set(matrix.languages) == set(wanted["languages"].split(","))
    assert app.selectbox(key="order_widget").value == "family"
    assert app.selectbox(key="pair_0").value == "swh_Latn"
    assert link(app) == wanted


def test_a_rate_between_the_sliders_steps_is_kept(opened: Open, drawn: dict[str, Any]) -> None:
    calm(opened(rate="0.013"))
    assert drawn["spectrum_heatmap"][0].settings.top_rate == 0.013


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "/no/such/folder"),
        ("corpus", "/no/such/folder"),
        ("dtype", "float8"),
        ("languages", "klingon"),
        ("languages", "eng_Latn,eng_Latn"),
        ("languages", ""),
        ("metric", "<script>"),
        ("selection", "x"),
        ("rate", "0"),
        ("rate", "2"),
        ("rate", "nan"),
        ("rate", "many"),
        ("ties", "x"),
        ("layers", "0.5"),
        ("layers", "0.51:0.52"),
        ("layers", "1:0"),
        ("layers", "nan:1"),
        ("order", "x"),
        ("view", "x"),
        ("pair", "eng_Latn"),
        ("pair", "x,y"),
        ("threshold", "inf"),
        ("typology", "x"),
    ],
)
def test_a_wrong_link_is_told_in_one_sentence(opened: Open, name: str, value: str) -> None:
    app = calm(opened(**{name: value}))
    assert len(app.warning) == 1
    assert f"link's {name} cannot be used" in words_of(app)
    assert name not in app.query_params
    assert app.get("plotly_chart")


def test_the_sentence_about_a_link_goes_with_the_next_choice(opened: Open) -> None:
    app = opened(metric="wrong")
    assert app.warning
    calm(app.multiselect(key="languages_widget").unselect("deu_Latn").run())
    assert not app.warning


def test_what_is_foreign_is_shown_as_it_is(opened: Open) -> None:
    app = opened(metric="![x](http://example.org/x.png)<b>")
    assert "![x](" not in app.warning[0].value
    assert "![x](http://example.org/x.png)<b>" in words_of(app)


def test_the_view_survives_a_visit_to_the_library(opened: Open, drawn: dict[str, Any]) -> None:
    app = opened(metric="count", rate="0.05", pair="deu_Latn,eng_Latn")
    calm(app.switch_page("dashboard/library.py").run())
    calm(app.switch_page("dashboard/spectrum.py").run())
    assert drawn["spectrum_heatmap"][0].settings.metric == "count"
    assert app.select_slider(key="rate_widget").value == 0.05
    assert app.selectbox(key="pair_1").value == "eng_Latn"
    assert link(app) == {"metric": "count", "rate": "0.05", "pair": "deu_Latn,eng_Latn"}
