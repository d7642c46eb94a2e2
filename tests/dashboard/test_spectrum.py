"""The Spectrum page: the picture, its controls, what it says of itself."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bridgex_core import typology
from bridgex_core.language_graph import suggested_threshold
from bridgex_core.languages import STUDY_LANGUAGES, register
from bridgex_core.similarity import correlate
from bridgex_core.spectrum import (
    DEFAULT,
    METRICS,
    ORDERINGS,
    PAPER,
    SpectrumSettings,
    rate_agreement,
    saturation,
    spectrum,
    split_half,
)
from bridgex_core.typology import TYPOLOGY_KINDS

from .driving import (
    PROJECT,
    STATS,
    STORED,
    Drawn,
    Open,
    alive,
    calm,
    expected,
    link,
    shown,
    table,
    words_of,
)

# ---- The spectrum ------------------------------------------------------------------------------


def test_the_page_opens_with_the_heatmap_of_the_study_languages(opened: Open, drawn: Drawn) -> None:
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


def test_every_metric_redraws(opened: Open, drawn: Drawn) -> None:
    app = opened()
    for metric in METRICS:
        calm(app.selectbox(key="metric_widget").select(metric).run())
        np.testing.assert_allclose(shown(drawn)[1], expected(metric=metric))
        assert link(app).get("metric", DEFAULT.metric) == metric


def test_selection_top_rate_layers_and_ties_redraw(opened: Open, drawn: Drawn) -> None:
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


def test_every_order(opened: Open, drawn: Drawn) -> None:
    app = opened()
    for order in reversed(ORDERINGS):
        calm(app.selectbox(key="order_widget").select(order).run())
        languages, _ = shown(drawn)
        tree = drawn["spectrum_heatmap"][-1]["tree"]
        assert (tree is not None) == (order == "clustering")
        key = {"alphabet": "name", "family": "family"}.get(order)
        if key:
            values = [getattr(register()[code], key) for code in languages]
            assert values == sorted(values)


def test_one_click_to_the_papers_settings_and_back(opened: Open, drawn: Drawn) -> None:
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


def test_the_panel_of_trust_tells_the_core_numbers(opened: Open, drawn: Drawn) -> None:
    app = calm(opened(metric="jaccard", selection="active", rate="0.02"))
    settings = SpectrumSettings(top_rate=0.02)
    stats = {code: STATS[code] for code in STUDY_LANGUAGES}
    reliability = split_half(stats, settings)
    assert app.metric[0].value == f"{reliability.corrected:.3f}"
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


def test_two_languages_by_their_boxes(opened: Open, drawn: Drawn) -> None:
    app = opened()
    app.selectbox(key="pair_0").select("deu_Latn").run()
    assert "pair_layers" not in drawn
    app.selectbox(key="pair_1").select("eng_Latn").run()
    calm(app.select_slider(key="rate_widget").set_value(0.1).run())
    pair, languages = drawn["pair_layers"][:2]
    matrix = spectrum(table(), replace(DEFAULT, top_rate=0.1))
    i, j = (STUDY_LANGUAGES.index(code) for code in ("deu_Latn", "eng_Latn"))
    assert pair.shared.sum() == matrix.shared[i, j]
    assert [one.code for one in languages] == ["deu_Latn", "eng_Latn"]
    numbers = {metric.label: metric.value for metric in app.metric}
    assert numbers["Shared neurons"] == str(matrix.shared[i, j])
    assert numbers["Only German"] == str(matrix.sizes[i] - matrix.shared[i, j])
    assert numbers["Only English"] == str(matrix.sizes[j] - matrix.shared[i, j])
    assert "95 % interval" in words_of(app)
    assert len(app.dataframe[0].value) == matrix.shared[i, j]
    assert link(app) == {"pair": "deu_Latn,eng_Latn", "rate": "0.1"}
    assert drawn["spectrum_heatmap"][-1]["selected"] == ("deu_Latn", "eng_Latn")
    calm(app.selectbox(key="pair_0").select("eng_Latn").run())
    assert "pair" not in app.query_params


def test_a_pair_goes_with_its_language(opened: Open) -> None:
    app = opened(pair="deu_Latn,eng_Latn")
    assert app.selectbox(key="pair_0").value == "deu_Latn"
    calm(app.multiselect(key="languages_widget").unselect("deu_Latn").run())
    assert "pair" not in app.query_params


# ---- Other views -------------------------------------------------------------------------------


def test_graph_with_its_threshold(opened: Open, drawn: Drawn) -> None:
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


def test_map(opened: Open, drawn: Drawn) -> None:
    app = opened()
    calm(app.segmented_control(key="view_widget").set_value("map").run())
    coordinates, languages, groups, stress = drawn["map_figure"][:4]
    assert coordinates.shape == (15, 2)
    assert len(groups) == len(languages)
    assert f"stress-1 = {stress:.2f}" in words_of(app)
    assert link(app) == {"view": "map"}


def test_typology(opened: Open, drawn: Drawn) -> None:
    app = opened(view="typology")
    for kind in TYPOLOGY_KINDS:
        calm(app.segmented_control(key="typology_widget").set_value(kind).run())
        found = correlate(expected(), typology.typology_similarity(kind, STUDY_LANGUAGES))
        told = words_of(app)
        assert f"rho = {found.rho:.2f} (95 % interval {found.low:.2f} to {found.high:.2f}" in told
        assert "Mantel test" in told
        assert len(app.dataframe[0].value) == len(TYPOLOGY_KINDS)
        assert len(drawn["typology_scatter"][2]) == 105
        assert drawn["typology_scatter"][-1]["kind"] == kind


# ---- Languages ---------------------------------------------------------------------------------


def test_languages_are_found_by_name_autonym_and_code(opened: Open) -> None:
    labels = opened().multiselect(key="languages_widget").options
    assert "Swahili · Kiswahili (swh_Latn)" in labels
    assert "Arabic · \u2067العربية\u2069 (arb_Arab)" in labels or any(
        "\u2067" in label and "arb_Arab" in label for label in labels
    )


def test_fewer_languages_down_to_none(opened: Open, drawn: Drawn) -> None:
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


def test_all_computed(opened: Open, drawn: Drawn) -> None:
    app = opened()
    button = next(button for button in app.button if button.label == "All computed")
    calm(button.click().run())
    assert set(drawn["spectrum_heatmap"][0].languages) == set(STORED)
